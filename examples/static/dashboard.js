// Shows each figure as a number and as a line of the last minutes.
const FIGURES = {
  requests: ["Requests", "/s"],
  slowest: ["Slowest answer", "ms"],
  connections: ["Connections", ""],
  watchers: ["Watchers", ""],
  memory: ["Memory", "MB"],
  cpu: ["CPU", "%"],
  lag: ["Event loop late by", "ms"],
};
const KEPT = 120;
const SVG = "http://www.w3.org/2000/svg";

const state = document.getElementById("state");
const samples = [];
const shown = {};

for (const [name, [title, unit]] of Object.entries(FIGURES)) {
  const section = document.createElement("section");
  const heading = document.createElement("h2");
  heading.textContent = title;
  const value = document.createElement("p");
  value.id = name;
  const chart = document.createElementNS(SVG, "svg");
  chart.setAttribute("viewBox", `0 0 ${KEPT} 40`);
  chart.setAttribute("preserveAspectRatio", "none");
  const line = document.createElementNS(SVG, "polyline");
  chart.append(line);
  section.append(heading, value, chart);
  document.getElementById("figures").append(section);
  shown[name] = { value, line, unit };
}

function show() {
  for (const [name, { value, line, unit }] of Object.entries(shown)) {
    const numbers = samples.map((sample) => sample[name]);
    const most = Math.max(...numbers, 1);
    const offset = KEPT - numbers.length;
    value.textContent = `${numbers.at(-1)} ${unit}`;
    line.setAttribute(
      "points",
      numbers.map((number, index) => `${offset + index},${38 - (36 * number) / most}`).join(" "),
    );
  }
}

// The browser comes back by itself, and says which event it has seen last.
const source = new EventSource("/events");
source.onopen = () => (state.textContent = "live");
source.onerror = () => (state.textContent = "connection lost, trying again");
source.onmessage = (event) => {
  samples.push(JSON.parse(event.data));
  if (samples.length > KEPT) samples.shift();
  show();
};
