"use strict";
// Trees of continuations: one context at a time, linked to the sequence it begins and to the words.
RR.views.push(function continuations() {
  const choice = RR.byId("context"), reading = RR.reading;
  if (!choice || !reading) return;
  const trees = [...document.querySelectorAll(".continued")], read = RR.byId("context-read");
  const sequenceOf = (tree) => reading.ids.indexOf(tree.dataset.sequence);
  const names = new Map(RR.description.words?.names.map((name, word) => [name, word]));
  const show = () => {
    trees.forEach((tree, i) => { tree.hidden = i !== Number(choice.value); });
    read.hidden = sequenceOf(trees[choice.value]) < 0;
  };
  choice.addEventListener("change", show);
  read.addEventListener("click", () => {
    const tree = trees[choice.value];
    RR.chooseStep(sequenceOf(tree), Number(tree.dataset.length) - 1);
    RR.byId("figure-text").scrollIntoView();
  });
  for (const node of document.querySelectorAll(".tree .node")) {
    const { token, share, path, rest } = node.dataset, word = names.get(token);
    node.dataset.hint = "";
    RR.hint(node, () => [RR.visible(token), `${share} after this path`, `${path} for the whole path`, ...(rest ? [`${rest} go on with other tokens`] : []), ...(word === undefined ? [] : ["click: select the word"])]);
    if (word === undefined) continue;
    node.dataset.word = word;
    node.addEventListener("click", () => RR.chooseWord(word));
  }
  for (const root of document.querySelectorAll(".tree .root")) {
    root.dataset.hint = "";
    RR.hint(root, () => ["the context ends here", `${root.dataset.rest} go on with other tokens`]);
  }
  RR.on(["words"], ({ words }) => {
    for (const node of document.querySelectorAll(".tree .node[data-word]")) node.classList.toggle("on", words.includes(Number(node.dataset.word)));
  });
  // A selected sequence whose beginning is a context shows its tree.
  RR.on(["sequence"], ({ sequence }) => {
    const place = trees.findIndex((tree) => sequence !== null && sequenceOf(tree) === sequence);
    if (place >= 0) choice.value = place;
    show();
  });
  show();
});
