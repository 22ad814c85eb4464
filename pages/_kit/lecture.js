() => {
  if (window.miiiLecture) return;
  window.miiiLecture = true;
  window.addEventListener("keydown", (event) => {
    const forward = event.key === "ArrowRight";
    if ((!forward && event.key !== "ArrowLeft") || event.altKey || event.ctrlKey || event.metaKey) return;
    const target = event.composedPath()[0]; // within the slider of steps too
    if (!document.querySelector(".st-key-lecture") || target.matches?.("input, textarea, select, [contenteditable], [role=slider]")) return;
    const main = document.querySelector('[data-testid="stMain"]').getBoundingClientRect();
    const middle = (main.top + main.bottom) / 2, close = 30; // pixels
    const figures = [...document.querySelectorAll('[data-testid="stMain"] [data-testid="stVegaLiteChart"]')];
    const away = (figure) => {
      const { top, bottom } = figure.getBoundingClientRect();
      return (top + bottom) / 2 - middle;
    };
    const next = forward
      ? figures.find((figure) => away(figure) > close)
      : figures.findLast((figure) => away(figure) < -close);
    if (!next) return;
    event.preventDefault();
    next.scrollIntoView({ block: "center" });
  });
}
