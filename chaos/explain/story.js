"use strict";
(() => {
  const tip = document.getElementById("tip");
  document.addEventListener("pointermove", (event) => {
    const over = event.target.closest ? event.target.closest("[data-say]") : null;
    tip.hidden = !over;
    if (!over) return;
    tip.textContent = over.dataset.say;
    const turnX = event.clientX > window.innerWidth - tip.offsetWidth - 30;
    const turnY = event.clientY > window.innerHeight - tip.offsetHeight - 30;
    tip.style.left = `${event.clientX + (turnX ? -tip.offsetWidth - 14 : 14)}px`;
    tip.style.top = `${event.clientY + (turnY ? -tip.offsetHeight - 14 : 14)}px`;
  });

  const view = document.querySelector(".view");
  const diagram = view.querySelector(".diagram");
  const pictures = [diagram, view.querySelector(".head")];
  const sizes = pictures.map((one) => [one.width.baseVal.value, one.height.baseVal.value]);
  let scale = 1;

  function zoom(next) {
    const factor = Math.min(4, Math.max(0.2, next)) / scale;
    const middle = view.scrollTop + view.clientHeight / 2;
    const across = view.scrollLeft + view.clientWidth / 2;
    scale *= factor;
    pictures.forEach((one, index) => {
      one.setAttribute("width", sizes[index][0] * scale);
      one.setAttribute("height", sizes[index][1] * scale);
    });
    view.scrollTop = middle * factor - view.clientHeight / 2;
    view.scrollLeft = across * factor - view.clientWidth / 2;
  }
  function toMoment() {
    const moment = document.getElementById("moment");
    if (moment) {
      const at = moment.getBoundingClientRect().top - diagram.getBoundingClientRect().top;
      view.scrollTop = at - view.clientHeight * 0.75;
    }
  }
  function show(box) {
    for (const one of diagram.querySelectorAll(`.${box.dataset.show}`)) {
      one.classList.toggle("hidden", !box.checked);
    }
  }
  for (const box of document.querySelectorAll("[data-show]")) {
    box.addEventListener("change", () => show(box));
    show(box);
  }
  const BUTTONS = {
    in: () => zoom(scale * 1.4),
    out: () => zoom(scale / 1.4),
    one: () => zoom(1),
    moment: toMoment,
  };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", BUTTONS[button.dataset.zoom]);
  }
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(scale * (event.deltaY > 0 ? 0.87 : 1.15));
  }, { passive: false });
  document.querySelector(".buttons").hidden = false;
  toMoment();
})();
