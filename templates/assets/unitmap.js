"use strict";
// The map of units: coloured like the chips, or by cluster; a click selects the unit everywhere.
RR.views.push(function unitMap() {
  const colouring = RR.byId("unitmap-colour");
  if (!colouring) return;
  RR.plot("unitmap", (plot) => {
    const draw = () => {
      const units = RR.unitsOf(), xy = units.array("map"), { units: picked, cluster } = RR.selection, size = units.array("response").shape[1];
      const labels = RR.row(units.array("unitLabels"), RR.kPlace()), missing = !xy.length, { values, clip } = RR.unitValues();
      const scale = RR.signScale(clip), byCluster = colouring.value === "cluster", data = { x: [], y: [], color: [], alpha: [] };
      for (let unit = 0; unit < (missing ? 0 : size); unit++) {
        data.x.push(xy[2 * unit]);
        data.y.push(xy[2 * unit + 1]);
        data.color.push(byCluster ? (labels[unit] < 0 ? RR.css("rule") : RR.classColour(labels[unit])) : scale(values?.[unit]));
        data.alpha.push(cluster === null || labels[unit] === cluster ? 0.95 : 0.15);
      }
      plot.fill("unitmap.points", data);
      const ringed = missing ? [] : picked;
      plot.fill("unitmap.rings", { x: ringed.map((unit) => xy[2 * unit]), y: ringed.map((unit) => xy[2 * unit + 1]) });
      RR.lineColour(plot, "unitmap.ring", RR.css("ink"));
      RR.note("unitmap", missing ? `Not shown for ${RR.description.states[RR.selection.state]}: ${units.mapNote}` : `${RR.description.states[RR.selection.state]}: ${units.mapNote}`);
      const shown = [...new Set(labels)].filter((label) => label >= 0).sort((a, b) => a - b);
      RR.legend("unitmap-legend", byCluster ? shown.map((label) => ({ colour: RR.classColour(label), label: `cluster ${label + 1}` })) : [{ ramp: RR.signRamp(), low: RR.signed(-clip), high: RR.signed(clip) }]);
    };
    draw();
    colouring.addEventListener("change", draw);
    RR.touch(plot, "unitmap.points", { click: ([unit]) => RR.chooseUnit(unit), over: ([unit]) => RR.tip(unit === undefined ? null : RR.unitTip(unit)) });
    RR.on(["state", "mode", "k", "units", "words", "cluster", "lens", "step", "sequence", "epoch", "theme"], draw);
  });
});
