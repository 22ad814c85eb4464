// What one mounted player remembers between its renderings.
const players = new WeakMap();
const PAUSE = 700; // milliseconds between two steps while it plays
const PATIENCE = 5000; // milliseconds that it waits for the page to follow a step

export default function ({ parentElement, data, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const range = find("input"), play = find(".play"), at = find(".at"), bands = find(".phases");
  const mine = players.get(parentElement) ?? { timer: null, sent: null, since: 0 };
  players.set(parentElement, mine);
  const { steps, phases } = data;
  const format = (step) => step.toLocaleString("en");
  const phaseOf = (step) => phases.findLast((phase) => phase.from <= step && step <= phase.to)?.name ?? "";

  const say = (step) => {
    const phase = phaseOf(step);
    at.innerHTML = "";
    at.append(`step ${format(step)}`);
    if (phase) {
      for (const [className, text] of [["dot", " · "], ["phase", phase]]) {
        const told = document.createElement("span");
        told.className = className;
        told.textContent = text;
        at.append(told);
      }
    }
    range.setAttribute("aria-valuetext", `step ${step}${phase ? `, ${phase}` : ""}`);
  };

  // Where a step stands on the slider, which has the snapshots at equal distances: 0 to 1.
  const place = (step) => {
    const after = steps.findIndex((other) => other >= step);
    if (after <= 0) return after === 0 ? 0 : 1;
    const [low, high] = [steps[after - 1], steps[after]];
    return (after - 1 + (step - low) / (high - low)) / (steps.length - 1);
  };

  bands.replaceChildren();
  mine.sizes?.disconnect();
  if (phases.length > 0) {
    const before = place(phases[0].from);
    const first = document.createElement("span");
    first.className = "before";
    first.style.width = `${100 * before}%`;
    if (before > 0) bands.append(first);
    for (const phase of phases) {
      const band = document.createElement("span");
      band.textContent = band.title = phase.name;
      band.style.boxSizing = "border-box";
      band.style.width = `${100 * (place(phase.to) - place(phase.from))}%`;
      bands.append(band);
    }
    // A name that does not fit is shortened to its first word, then left out; the pointer still shows it.
    const fit = () => {
      for (const band of bands.querySelectorAll("[title]")) {
        for (const name of [band.title, band.title.split(" ")[0], ""]) {
          band.textContent = name;
          if (band.scrollWidth <= band.clientWidth) break;
        }
      }
    };
    mine.sizes = new ResizeObserver(fit);
    mine.sizes.observe(bands);
  }
  range.max = String(steps.length - 1);
  // While the slider runs ahead of the page, what the page still shows must not pull it back.
  if (mine.sent === null || mine.sent === data.step || !steps.includes(mine.sent)) {
    mine.sent = null;
    range.value = String(steps.indexOf(data.step));
    say(data.step);
  }

  const go = (index) => {
    range.value = String(index);
    mine.sent = steps[index];
    mine.since = performance.now();
    say(mine.sent);
    setStateValue("step", mine.sent);
  };
  const show = () => {
    const playing = mine.timer !== null;
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
  };
  const pause = () => {
    clearInterval(mine.timer);
    mine.timer = null;
    show();
  };
  const next = () => {
    if (mine.sent !== null && performance.now() - mine.since < PATIENCE) return; // the page is not there yet
    const index = Number(range.value) + 1;
    if (index >= mine.steps.length) pause();
    else mine.go(index);
  };
  mine.go = go;
  mine.steps = steps;
  if (mine.timer !== null) { // a rendering may have come with a cleanup, which stopped it
    clearInterval(mine.timer);
    mine.timer = setInterval(next, PAUSE);
  }

  range.oninput = () => {
    if (mine.timer !== null) pause();
    go(Number(range.value));
  };
  play.onclick = () => {
    if (mine.timer !== null) return pause();
    if (Number(range.value) === steps.length - 1) go(0);
    mine.timer = setInterval(next, PAUSE);
    show();
  };
  show();
  return () => {
    clearInterval(mine.timer);
    mine.sizes?.disconnect();
  };
}
