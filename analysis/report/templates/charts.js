"use strict";
{  // Charts in place of some figures: the pointer names a trial, a click goes to its row; the figures for papers are folded.
  const points = JSON.parse(document.getElementById("points").textContent), metrics = Object.keys(points.metrics);
  const shapes = {"*": "star", o: "circle", s: "rect", "^": "triangle", D: "rectRot", v: "triangle", P: "cross", X: "crossRot",
    "<": "triangle", ">": "triangle", p: "rectRounded", h: "rectRounded"};
  const turns = {v: 180, "<": 270, ">": 90}, redraws = [];
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const chosen = () => decodeURIComponent(location.hash.slice(1));
  const shown = value => value.toFixed(3).replace("-", "\u2212");
  const lines = trial => [trial.family, ...trial.parameters];
  const of = (trial, metric) => trial.values[metric];

  function series(trials, place, more = {}) {  // a dataset a family, so that the legend names them
    return [...new Set(trials.map(trial => trial.family))].map(family => {
      const mine = trials.filter(trial => trial.family === family), colour = mine[0].colour || css("--ink");
      return {label: family, data: mine.map(place), backgroundColor: colour, borderColor: colour,
        pointStyle: shapes[mine[0].marker], rotation: turns[mine[0].marker] || 0, borderWidth: "*PX".includes(mine[0].marker) ? 2 : 0.5,
        radius: at => at.raw?.trial.id === chosen() ? 9 : 5, hoverRadius: 8, hitRadius: 6, ...more};
    });
  }
  function axis(title, more = {}) {
    return {title: {display: true, text: title, color: css("--ink")}, grid: {color: css("--line")}, ticks: {color: css("--soft")},
      ...more};
  }
  function options(scales, said, legend = true) {
    return {animation: false, maintainAspectRatio: false, scales,
      interaction: {mode: "nearest", intersect: true, axis: "xy"},
      onHover: (event, found) => { event.native.target.style.cursor = found.length ? "pointer" : "default"; },
      onClick: (event, found, chart) => {
        const raw = found.length && chart.data.datasets[found[0].datasetIndex].data[found[0].index];
        if (raw && raw.trial) location.hash = raw.trial.id;
      },
      plugins: {
        legend: {display: legend, position: "bottom", labels: {usePointStyle: true, color: css("--ink"), filter: one => one.text}},
        tooltip: {displayColors: false, filter: one => one.raw.trial, callbacks: {
          title: found => found.length ? found[0].raw.trial.name : "",
          label: one => [...said(one.raw), ...lines(one.raw.trial)]}}}};
  }
  function value(trial, metric) {
    const [at, low, high] = of(trial, metric);
    return `${points.metrics[metric]} ${shown(at)}` + (low === null ? "" : ` (95 % interval ${shown(low)} to ${shown(high)})`);
  }
  const charts = {
    scatter: ([x, y]) => {
      const trials = points.trials.filter(trial => of(trial, x) && of(trial, y));
      return {type: "scatter", data: {datasets: series(trials, trial => ({x: of(trial, x)[0], y: of(trial, y)[0], trial}))},
        options: options({x: axis(points.metrics[x]), y: axis(points.metrics[y])},
          raw => [value(raw.trial, x), value(raw.trial, y)])};
    },
    ranking: ([metric]) => {
      const sign = /^noise\/corr|hc_lc_gap$/.test(metric) ? -1 : 1;
      const trials = points.trials.filter(trial => of(trial, metric)).sort((a, b) => sign * (of(b, metric)[0] - of(a, metric)[0]));
      const spans = trials.flatMap((trial, rank) => of(trial, metric)[1] === null ? [] :
        [{x: of(trial, metric)[1], y: rank + 1}, {x: of(trial, metric)[2], y: rank + 1}, {x: NaN, y: NaN}]);
      const rank = new Map(trials.map((trial, at) => [trial, at + 1]));
      const named = at => trials.length <= 30 && trials[at - 1] ? trials[at - 1].name : at;
      return {type: "scatter", data: {datasets: [...series(trials, trial => ({x: of(trial, metric)[0], y: rank.get(trial), trial})),
        {label: "", data: spans, showLine: true, radius: 0, hitRadius: 0, hoverRadius: 0, borderWidth: 1, borderColor: css("--soft")}]},
        options: options({x: axis(points.metrics[metric]), y: axis("Rank", {reverse: true, min: 0, max: trials.length + 1,
          ticks: {color: css("--soft"), autoSkip: trials.length > 30, stepSize: trials.length > 30 ? undefined : 1,
            callback: at => at >= 1 && at <= trials.length && Number.isInteger(at) ? named(at) : ""}})},
          raw => [`rank ${raw.y} of ${trials.length}`, value(raw.trial, metric)])};
    },
    curves: () => {
      const trials = points.trials.filter(trial => trial.curve.length);
      const datasets = trials.map(trial => ({label: trial.name, data: trial.curve.map(([x, y]) => ({x, y, trial})), showLine: true,
        borderColor: trial.colour || css("--ink"), backgroundColor: trial.colour || css("--ink"), radius: 2, hoverRadius: 6, hitRadius: 6,
        borderWidth: () => trial.id === chosen() ? 4 : 1}));
      return {type: "scatter", data: {datasets}, options: options({x: axis("Epoch", {ticks: {color: css("--soft"), precision: 0}}),
        y: axis(points.curve)}, raw => [`epoch ${raw.x}: ${shown(raw.y)}`], false)};
    },
  };
  const first = {scatter: [["Horizontal", 0], ["Vertical", 1]], ranking: [["By", 1]], curves: []};
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const kind = figure.dataset.chart, title = figure.querySelector("h3"), image = figure.querySelector("img");
    if (kind === "curves" ? !points.trials.some(trial => trial.curve.length) : metrics.length < 2) continue;
    const choices = document.createElement("div"), box = document.createElement("div"), canvas = document.createElement("canvas");
    choices.className = "choices"; box.className = "chart"; box.append(canvas);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${title.textContent}, by trial. The same values stand in the table of all trials.`);
    const selects = first[kind].map(([name, index]) => {
      const label = document.createElement("label"), select = document.createElement("select");
      metrics.forEach((metric, at) => select.append(new Option(points.metrics[metric], metric, at === index, at === index)));
      label.append(`${name}: `, select); choices.append(label);
      return select;
    });
    const folded = document.createElement("details"), summary = document.createElement("summary");
    folded.className = "static"; summary.textContent = "The figure for papers (SVG)"; folded.append(summary);
    image.replaceWith(choices, box, folded); folded.append(image);
    let chart;
    const redraw = () => { chart?.destroy(); chart = new Chart(canvas, charts[kind](selects.map(select => select.value))); };
    selects.forEach(select => select.addEventListener("change", redraw));
    redraws.push(redraw);
    redraw();
  }
  const again = () => redraws.forEach(redraw => redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("hashchange", again);
}
