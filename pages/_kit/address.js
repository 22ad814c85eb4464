(run) => {
  // Only another page is a step of Back: a step of the slider or a value of a widget changes the address in place.
  if (!window.miiiAddress) {
    window.miiiAddress = true;
    const push = window.history.pushState;
    let clicked = window.location.href;
    window.addEventListener("click", () => (clicked = window.location.href), true);
    window.history.pushState = function (state, title, url) {
      const here = window.location.pathname;
      if (new URL(url ?? "", window.location.href).pathname === here) return this.replaceState(state, title, url);
      // On the way out Streamlit first clears the page's own values from its address: they belong to the way back.
      if (new URL(clicked).pathname === here) this.replaceState({}, "", clicked);
      return push.call(this, state, title, url);
    };
  }
  const url = new URL(window.location.href);
  if (run === null || url.searchParams.get("run") === run) return;
  url.searchParams.set("run", run);
  window.history.replaceState({}, "", url);
}
