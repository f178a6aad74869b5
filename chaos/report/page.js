"use strict";
(() => {
  const svg = document.getElementById("timeline");
  if (!svg) return;
  const numbers = JSON.parse(document.getElementById("numbers").textContent);
  const whole = Number(svg.dataset.seconds);
  const left = Number(svg.dataset.left);
  const right = Number(svg.dataset.right);
  const tip = document.getElementById("tip");
  const cursor = svg.querySelector(".cursor");
  const chosen = svg.querySelector(".chosen");
  const ticks = document.getElementById("ticks");
  let from = 0;
  let to = whole;

  const place = (at) => left + ((at - from) / (to - from)) * (right - left);
  const time = (x) => from + ((x - left) / (right - left)) * (to - from);
  const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
  function step(least) {
    const round = STEPS.find((one) => one >= least);
    if (least >= 1 && round) return round;
    const power = 10 ** Math.floor(Math.log10(least));
    return power * [1, 2, 5, 10].find((digit) => power * digit >= least * 0.999);
  }
  function clock(at) {
    const text = (value) => String(Number(value.toFixed(3)));
    if (at < 60) return `${text(at)} s`;
    const rest = at % 60;
    return `${Math.floor(at / 60)}:${rest < 10 ? "0" : ""}${text(rest)}`;
  }
  function element(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  function draw() {
    const scale = whole / (to - from);
    const shift = left - place(0);
    for (const group of svg.querySelectorAll(".time")) {
      const move = `translate(${left - shift} 0) scale(${scale} 1) translate(${-left} 0)`;
      group.setAttribute("transform", move);
    }
    for (const label of svg.querySelectorAll(".label")) {
      const { x, end, following } = label.dataset;
      const [from_, to_, next] = [x, end, following].map((one) =>
        place(((one - left) / (right - left)) * whole));
      const seen = Math.max(from_, left);
      const room = label.textContent.length * 6.4 + 8;
      const inside = room < Math.min(to_, right) - seen;
      const behind = !inside && to_ >= left && room < Math.min(next, right) - to_;
      label.setAttribute("x", (behind ? to_ : seen) + 5);
      label.classList.toggle("behind", behind);
      label.classList.toggle("hidden", !inside && !behind);
    }
    const y = Number(ticks.dataset.y);
    const apart = step((to - from) / 10);
    const marks = [];
    for (let at = Math.ceil(from / apart) * apart; at <= to + 1e-9; at += apart) {
      const x = place(at);
      marks.push(element("line", { class: "tick", x1: x, x2: x, y1: y, y2: y + 5 }));
      marks.push(element("text", { class: "at", x, y: y + 20 }, clock(at)));
    }
    ticks.replaceChildren(...marks);
  }
  function show(begin, end) {
    const length = clamp(end - begin, Math.min(whole, 0.05), whole);
    from = clamp(begin, 0, whole - length);
    to = from + length;
    draw();
  }
  function zoom(factor, around) {
    show(around - (around - from) * factor, around + (to - around) * factor);
  }

  const span = (value) => (value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(2)} s`);
  function words(at, over) {
    const lines = [clock(at)];
    const bucket = Math.floor(at / numbers.width);
    const [ok, refused, unknown, never] = numbers.counts.map((row) => row[bucket] || 0);
    const rate = (count) => Math.round((count / numbers.width) * 10) / 10;
    lines.push(`accepted ${rate(ok)}/s, refused ${rate(refused)}/s`);
    if (unknown || never) lines.push(`unknown ${unknown}, never sent ${never}`);
    const [median, high, longest] = numbers.latencies.map((row) => row[bucket]);
    if (median != null) lines.push(`median ${span(median)}, 99 % ${span(high)}, longest ${span(longest)}`);
    const near = (to - from) / 400;
    const active = numbers.spans.filter((one, index) =>
      index === over || (one[0] - near <= at && at <= (one[1] ?? whole) + near));
    for (const [begin, end, lane, name, detail] of active.slice(0, 8)) {
      const length = end == null ? "not ended" : span(Math.round((end - begin) * 1000));
      lines.push(`${lane}: ${name}, ${length}${detail ? ` (${detail})` : ""}`);
    }
    return lines.join("\n");
  }
  const across = (event) => {
    const box = svg.getBoundingClientRect();
    return clamp(((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width, left, right);
  };
  let pressed = null;
  svg.addEventListener("pointermove", (event) => {
    const x = across(event);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    if (pressed !== null) {
      chosen.setAttribute("x", Math.min(x, pressed));
      chosen.setAttribute("width", Math.abs(x - pressed));
    }
    const over = event.target.dataset ? event.target.dataset.span : undefined;
    tip.textContent = words(time(x), over === undefined ? -1 : Number(over));
    tip.hidden = false;
    const frame = tip.parentElement.getBoundingClientRect();
    const beside = event.clientX - frame.left;
    const turn = beside > frame.width - tip.offsetWidth - 30;
    tip.style.left = `${turn ? beside - tip.offsetWidth - 16 : beside + 16}px`;
    tip.style.top = `${event.clientY - frame.top + 14}px`;
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
  });
  svg.addEventListener("pointerdown", (event) => {
    if (event.button === 0) {
      pressed = across(event);
      event.preventDefault();
    }
  });
  window.addEventListener("pointerup", (event) => {
    if (pressed === null) return;
    const [a, b] = [pressed, across(event)].sort((x, y) => x - y);
    pressed = null;
    chosen.setAttribute("width", 0);
    if (b - a > 6) show(time(a), time(b));
  });
  svg.addEventListener("dblclick", () => show(0, whole));
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, time(across(event)));
  }, { passive: false });
  const BUTTONS = {
    in: () => zoom(0.5, (from + to) / 2),
    out: () => zoom(2, (from + to) / 2),
    back: () => show(from - (to - from) / 2, to - (to - from) / 2),
    on: () => show(from + (to - from) / 2, to + (to - from) / 2),
    all: () => show(0, whole),
  };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", BUTTONS[button.dataset.zoom]);
  }
  document.querySelector(".buttons").hidden = false;
})();
