"use strict";
// Reads the JSON API every two seconds. What comes from there is text: it is never parsed as HTML.

const PERIOD_MS = 2000;
const WINDOW_MS = 10000; // rates and latencies are of this long
const HISTORY = 60; // points of a curve
const ROWS = 50; // endpoints shown of a service; those that are not ready come first

const polls = []; // {at, data}: the latest and those within the window before it
const curves = new Map(); // key -> points
let started = 0;

const get = (id) => document.getElementById(id);

function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== "") element.textContent = text;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// One child for each item, made once for its key: what the reader has selected or scrolled stays.
function sync(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, position) => {
    const key = String(keyOf(item));
    let child = old.get(key);
    if (child) old.delete(key);
    else (child = create(item)).dataset.key = key;
    if (parent.children[position] !== child) parent.insertBefore(child, parent.children[position] || null);
    update(child, item);
  });
  for (const child of old.values()) child.remove();
}

const number = (value) => {
  if (value >= 1e6) return (value / 1e6).toFixed(value < 1e7 ? 2 : 1) + "M";
  if (value >= 1e4) return (value / 1e3).toFixed(value < 1e5 ? 1 : 0) + "k";
  return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : value.toFixed(1);
};
const rate = (value) => (value === null ? "–" : number(value));
const ms = (value) => {
  if (value === null) return "–";
  if (value >= 1000) return (value / 1000).toFixed(2) + " s";
  return value.toFixed(value < 1 ? 2 : value < 100 ? 1 : 0) + " ms";
};
const size = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) (bytes /= 1000), unit++;
  return (unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)) + " " + units[unit];
};
const percent = (part, whole) => (whole ? ((100 * part) / whole).toFixed(part && part / whole < 0.1 ? 2 : 0) + " %" : "–");
const span = (seconds) => {
  if (seconds < 120) return Math.max(0, Math.round(seconds)) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  return seconds < 172800 ? Math.round(seconds / 3600) + " h" : Math.round(seconds / 86400) + " d";
};
const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);
const failed = (counts) => sum(Object.fromEntries(Object.entries(counts).filter(([code]) => code[0] === "5")));

function named(list, field, name) {
  return list && list.find((item) => item[field] === name);
}

// Growth per second over the window; null before there are two polls.
function growth(now, before, of) {
  if (!before || polls.length < 2) return null;
  const seconds = (polls[polls.length - 1].at - polls[0].at) / 1000;
  return Math.max(0, of(now) - of(before)) / seconds;
}

function bucketsSince(now, before) {
  const old = new Map((before ? before.duration.buckets : []).map(([from, , count]) => [from, count]));
  return now.duration.buckets.map(([from, to, count]) => [from, to, count - (old.get(from) || 0)]);
}

function quantile(buckets, q) {
  const rank = q * buckets.reduce((total, [, , count]) => total + count, 0);
  let seen = 0;
  for (const [from, to, count] of buckets) {
    if (count > 0 && seen + count >= rank) return from + ((to - from) * (rank - seen)) / count;
    seen += count;
  }
  return null;
}

function curve(key, value) {
  if (!curves.has(key)) curves.set(key, []);
  const points = curves.get(key);
  if (value !== null) points.push(value);
  if (points.length > HISTORY) points.shift();
  return points;
}

function spark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${HISTORY - 1} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const name of ["area", "line"]) {
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

function draw(svg, points) {
  const top = Math.max(...points, 1e-9);
  const first = HISTORY - points.length;
  const line = points.map((value, i) => `${first + i} ${(96 - (86 * value) / top).toFixed(1)}`).join("L");
  svg.children[0].setAttribute("d", points.length > 1 ? `M${first} 100L${line}L${HISTORY - 1} 100Z` : "");
  svg.children[1].setAttribute("d", points.length > 1 ? `M${line}` : "");
}

function showTiles(data, before) {
  const all = data.services.flatMap((service) => bucketsSince(service, before && named(before.services, "name", service.name)));
  const buckets = all.sort((a, b) => a[0] - b[0]);
  const total = (of) => (from) => from.services.reduce((count, service) => count + of(service.requests), 0) + of(from.unrouted);
  const requests = growth(data, before, total(sum));
  const errors = growth(data, before, total(failed));
  const inFlight = data.services.flatMap((s) => s.endpoints).reduce((count, endpoint) => count + endpoint.in_flight, 0);
  const open = data.listeners.reduce((count, listener) => count + listener.active, 0);
  const tiles = [
    ["requests per second", requests, rate],
    ["answered with 5xx", requests ? errors / requests : null, (value) => (value === null ? "–" : percent(value, 1))],
    ["p50", before ? quantile(buckets, 0.5) : null, ms],
    ["p99", before ? quantile(buckets, 0.99) : null, ms],
    ["in flight", inFlight, number],
    ["open connections", open, number],
  ];
  sync(get("tiles"), tiles, ([name]) => name, createTile, (tile, [name, value, format]) => {
    setText(tile.querySelector("b"), format(value));
    draw(tile.querySelector("svg"), curve("tile " + name, value));
  });
}

function createTile([name]) {
  const tile = make("div", "tile");
  tile.append(make("b"), make("span", "dim", name), spark());
  return tile;
}

function showServices(data, before) {
  sync(get("services"), data.services, (service) => service.name, createService, (card, service) => {
    const old = before && named(before.services, "name", service.name);
    const buckets = bucketsSince(service, old);
    const requests = growth(service, old, (s) => sum(s.requests));
    const part = (name) => card.querySelector("." + name);
    setText(part("balance"), service.balance);
    setText(part("through"), service.listeners.length ? "from " + service.listeners.join(", ") : "no listener leads here");
    setText(part("rate"), rate(requests));
    setText(part("errors"), requests === null ? "–" : percent(growth(service, old, (s) => failed(s.requests)), requests));
    setText(part("p50"), ms(old ? quantile(buckets, 0.5) : null));
    setText(part("p99"), ms(old ? quantile(buckets, 0.99) : null));
    draw(card.querySelector("svg"), curve("service " + service.name, requests));
    showSources(part("sources"), service.sources);
    showEndpoints(card, service, old);
  });
}

function createService(service) {
  const card = make("article", "card service");
  const top = make("div", "top");
  const figures = make("div", "figures");
  for (const [name, label] of [["rate", " req/s"], ["errors", " 5xx"], ["p50", " p50"], ["p99", " p99"]]) {
    const figure = make("span", "dim");
    figure.append(make("b", name), label);
    figures.append(figure);
  }
  figures.append(spark());
  top.append(make("span", "name", service.name), make("span", "tag balance"), make("span", "dim through"), figures);
  const scroll = make("div", "scroll");
  const table = make("table");
  const head = make("tr");
  for (const [text, name] of [["endpoint", ""], ["state", ""], ["weight", "n"], ["in flight", "n"], ["first byte", "n"],
    ["5xx in all", "n"], ["req/s", "n"], ["share", ""]]) head.append(make("th", name, text));
  const thead = make("thead");
  thead.append(head);
  table.append(thead, make("tbody"));
  scroll.append(table);
  card.append(top, make("div", "sources"), scroll, make("div", "dim more"));
  return card;
}

function showSources(parent, sources) {
  const failing = sources.filter((source) => source.problem);
  sync(parent, failing, (source) => source.text, () => make("div", "bad"), (line, source) => {
    const since = source.since ? `, since ${clock(source.since)}` : "";
    setText(line, `${source.text}: ${source.problem}${since}; the endpoints it gave last stay in use`);
  });
}

function showEndpoints(card, service, old) {
  const before = new Map(old ? old.endpoints.map((endpoint) => [endpoint.address, endpoint]) : []);
  const shown = [...service.endpoints].sort((a, b) => (a.state === "ready") - (b.state === "ready")).slice(0, ROWS);
  if (service.endpoints.length <= ROWS) shown.splice(0, shown.length, ...service.endpoints);
  const rates = new Map(shown.map((e) => [e.address, growth(e, before.get(e.address), (from) => sum(from.requests))]));
  const most = Math.max(1e-9, ...rates.values());
  sync(card.querySelector("tbody"), shown, (endpoint) => endpoint.address, createEndpoint, (row, endpoint) => {
    const [, state, weight, inFlight, ttfb, errors, perSecond, share] = row.children;
    setText(state, endpoint.state);
    state.className = "state " + endpoint.state;
    setText(weight, String(endpoint.weight));
    setText(inFlight, number(endpoint.in_flight));
    setText(ttfb, endpoint.ttfb_ms ? ms(endpoint.ttfb_ms) : "–");
    setText(errors, number(failed(endpoint.requests)));
    setText(perSecond, rate(rates.get(endpoint.address)));
    share.querySelector("i").style.width = (100 * (rates.get(endpoint.address) || 0)) / most + "%";
  });
  const hidden = service.endpoints.length - shown.length;
  const none = service.endpoints.length ? "" : "No endpoints: requests are answered with 503.";
  setText(card.querySelector(".more"), hidden ? `and ${hidden.toLocaleString("en")} more endpoints` : none);
}

function createEndpoint(endpoint) {
  const row = make("tr");
  row.append(make("td", "mono", endpoint.address), make("td", "state"));
  for (let column = 0; column < 5; column++) row.append(make("td", "n"));
  const share = make("td");
  const bar = make("div", "bar");
  bar.append(make("i"));
  share.append(bar);
  row.append(share);
  return row;
}

function showRows(parent, items, keyOf, columns) {
  const create = () => {
    const row = make("tr");
    for (const [name] of columns) row.append(make("td", name));
    return row;
  };
  sync(parent, items, keyOf, create, (row, item) => columns.forEach(([, text], i) => setText(row.children[i], text(item))));
}

function showListeners(data, before) {
  const old = (listener) => before && named(before.listeners, "name", listener.name);
  showRows(get("listeners"), data.listeners, (listener) => listener.name, [
    ["", (l) => `${l.name} (${l.protocol})`],
    ["mono", (l) => l.address],
    ["n", (l) => number(l.active)],
    ["n", (l) => rate(growth(l, old(l), (from) => from.connections))],
    ["n", (l) => size(growth(l, old(l), (from) => from.received_bytes) || 0) + "/s"],
    ["n", (l) => size(growth(l, old(l), (from) => from.sent_bytes) || 0) + "/s"],
  ]);
}

function showConfig(config) {
  const phase = get("phase");
  setText(phase, config.phase + (config.reason ? ": " + config.reason : ""));
  phase.className = "pill " + config.phase;
  const mode = config.compiled ? "compiled" : "interpreted";
  const up = span(Date.now() / 1000 - config.started);
  setText(get("about"), `${config.fairlead} · ${config.python}, ${mode} · snapshot ${config.version} · up ${up}`);
  showRows(get("workers"), config.workers, (worker) => worker.number, [
    ["", (w) => String(w.number)],
    ["n", (w) => String(w.pid)],
    ["n", (w) => String(w.version)],
    ["n", (w) => String(w.restarts)],
    ["n", (w) => span(Date.now() / 1000 - w.started)],
  ]);
  const refused = `The last configuration was refused; that of ${clock(config.loaded)} stays in force. `;
  showAlerts(config.problems.map((problem, i) => (i ? "" : refused) + problem));
}

function showAlerts(texts) {
  sync(get("alerts"), texts, (text) => text, (text) => make("div", "", text), () => {});
}

function showEvents(events) {
  const key = (event) => [event.at, event.kind, event.subject, event.text].join(" ");
  const create = (event) => {
    const line = make("li");
    const text = [event.subject, event.text].filter(Boolean).join(": ");
    line.append(make("span", "dim", clock(event.at)), make("span", "", event.kind), make("span", "text", text));
    line.title = new Date(event.at * 1000).toLocaleString();
    return line;
  };
  const nothing = { at: 0, kind: "", subject: "", text: "" };
  const createNothing = () => make("li", "dim empty", "Nothing has happened yet.");
  sync(get("events"), events.length ? events : [nothing], key, events.length ? create : createNothing, () => {});
}

async function read(path) {
  const reply = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!reply.ok) throw new Error(`${path} answered ${reply.status}`);
  return reply.json();
}

function remember(data) {
  polls.push({ at: performance.now(), data });
  while (polls.length > 2 && polls[polls.length - 1].at - polls[1].at >= WINDOW_MS) polls.shift();
}

async function poll() {
  try {
    const [data, config, log] = await Promise.all([
      read("/api/v1/services"), read("/api/v1/config"), read("/api/v1/events?limit=50"),
    ]);
    if (config.started !== started) {
      polls.length = 0; // another supervisor counts from nothing
      curves.clear();
      started = config.started;
    }
    remember(data);
    const before = polls.length > 1 ? polls[0].data : null;
    showTiles(data, before);
    showServices(data, before);
    showListeners(data, before);
    showConfig(config);
    showEvents(log.events);
  } catch (error) {
    get("phase").className = "pill lost";
    setText(get("phase"), "no answer");
    showAlerts([`Fairlead does not answer (${error.message}). What is below is the last that was heard.`]);
  }
}

// One poll after the other, none while nobody looks.
async function follow() {
  for (;;) {
    if (!document.hidden) await poll();
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}

follow();
