"use strict";
// Training curves, and (with a baseline) the similarity of the states along training.
RR.views.push(() => ["curve-loss", "curve-score"].forEach((name) => RR.curve(name, RR.epochs())));
RR.views.push(() => RR.curve("similarity", RR.epochs(), 1));
