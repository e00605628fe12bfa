"use strict";
// Training curves: the cursor is the selected epoch; a click selects the nearest recorded one.
RR.views.push(function curves() {
  const epochs = RR.epochs();
  for (const name of ["curve-loss", "curve-score", "similarity"]) {
    RR.plot(name, (plot) => {
      const draw = () => {
        const cursor = plot.find(`${name}.cursor`);
        if (epochs.length && RR.selection.epoch !== null) cursor.location = epochs[RR.selection.epoch];
        else cursor.visible = false;
        for (let place = 0; plot.find(`${name}.line-${place}`); place++) {
          const colour = RR.css(["ink", "second", "third", "muted"][place % 4]);
          RR.lineColour(plot, `${name}.line-${place}`, colour);
          for (const part of ["dot", "label"]) RR.lineColour(plot, `${name}.${part}-${place}`, colour);
        }
      };
      draw();
      RR.on(["epoch", "theme"], draw);
      plot.figure.on_event("tap", (event) => {
        if (!epochs.length) return;
        let nearest = 0;
        epochs.forEach((epoch, place) => { if (Math.abs(epoch - event.x) < Math.abs(epochs[nearest] - event.x)) nearest = place; });
        RR.set({ epoch: nearest });
      });
    });
  }
});
