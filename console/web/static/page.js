// Draws what the stream tells. Every word is set as text, so that no name from outside can become markup.

const at = (id) => document.getElementById(id);
const KEY = "reelmill-token";

const fromAddress = new URLSearchParams(location.hash.slice(1)).get("token");
if (fromAddress) {
  sessionStorage.setItem(KEY, fromAddress);
  history.replaceState(null, "", location.pathname);
}

function headers() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

let silence;
function say(words, bad = false) {
  at("said").textContent = words;
  at("said").classList.toggle("bad", bad);
  clearTimeout(silence);
  if (!bad) silence = setTimeout(() => say(""), 10_000); // what is wrong stays until something else is said
}

async function ask(path, body) {
  const options = { method: "POST", headers: { ...headers(), "Content-Type": "application/json" } };
  const answer = await fetch(path, { ...options, body: body ? JSON.stringify(body) : undefined });
  if (answer.status === 401) {
    askForToken();
    return null;
  }
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) say(typeof told.detail === "string" ? told.detail : `It was refused (${answer.status}).`, true);
  return answer.ok ? told : null;
}

function askForToken() {
  at("enter").hidden = false;
  at("token").focus();
  say("This needs the token of the farm.", true);
}

function make(name, words, more = {}) {
  const element = document.createElement(name);
  if (words !== undefined) element.textContent = words;
  for (const [key, value] of Object.entries(more)) {
    if (key === "class") element.className = value;
    else if (key === "on") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  return element;
}

const clock = (seconds) => {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] ? `${parts[0]}:${minutes}:${rest}` : `${Number(minutes)}:${rest}`;
};

// An item keeps its element for as long as it is listed and says the same, or can be told anew in it (`update`), so that a
// click that takes a while, focus, and a screen reader's place stay where they are.
const lists = new Map();
function list(id, items, key, draw, none) {
  const before = lists.get(id) ?? new Map(), now = new Map();
  for (const item of items) {
    const said = JSON.stringify(item), old = before.get(key(item));
    if (!old) now.set(key(item), { said, element: draw(item) });
    else now.set(key(item), { said, element: old.said === said ? old.element : drawnAnew(old.element, item, draw) });
  }
  lists.set(id, now);
  const elements = [...now.values()].map((shown) => shown.element);
  const wanted = elements.length ? elements : [make("li", none, { class: "why" })];
  for (const child of [...at(id).children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((element, place) => {
    if (at(id).children[place] !== element) at(id).insertBefore(element, at(id).children[place] ?? null);
  });
}

function drawnAnew(element, item, draw) {
  if (element.update) {
    element.update(item);
    return element;
  }
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const fresh = draw(item);
  element.replaceWith(fresh);
  if (focused) fresh.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  return fresh;
}

function tell(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function button(words, what, key, act) {
  return make("button", words, { type: "button", "data-key": key, "aria-label": `${words}: ${what}`, on: act });
}

function row(words, ...buttons) {
  const line = make("div", undefined, { class: "row" });
  line.append(make("strong", words), ...buttons);
  return line;
}

function transfer(one) {
  const share = one.bytes ? Math.floor((100 * one.bytes_done) / one.bytes) : 0;
  const rate = one.bytes_per_second ? ` at ${(one.bytes_per_second / 1e6).toFixed(1)} MB/s` : "";
  const left = one.eta_seconds === null ? "" : `, ${clock(one.eta_seconds)} left`;
  return `${one.direction} ${one.label} ${share} %${rate}${left}`;
}

function node(first) {
  const name = first.record.node;
  let paused = false;
  const verb = button("Pause", name, `pause ${name}`, async () => {
    const told = await ask(`api/nodes/${encodeURIComponent(name)}/${paused ? "resume" : "pause"}`);
    if (told) say(told.words);
  });
  const doing = make("p", ""), progress = make("p", "", { class: "why" }), carried = make("p", "", { class: "why" });
  const bar = make("progress", undefined, { max: 100 });
  const item = make("li");
  item.append(row(name, verb), doing, bar, progress, carried);
  item.update = (view) => {
    const record = view.record;
    paused = Boolean(view.orders.pause);
    tell(verb, paused ? "Resume" : "Pause");
    verb.setAttribute("aria-label", `${verb.textContent}: ${name}`);
    const state = view.running === false ? "not running any more" : record.state;
    const words = view.verdict ?? record.label ?? record.why ?? "";
    tell(doing, words ? `${state}: ${words}` : state);
    doing.className = view.verdict ? "bad" : "";
    carried.hidden = record.transfers.length === 0;
    tell(carried, record.transfers.map(transfer).join("; "));
    bar.hidden = progress.hidden = record.percent === null;
    if (record.percent === null) return;
    const left = record.eta_seconds === null ? "" : `, ${clock(record.eta_seconds)} left`;
    const speed = record.fps ? ` at ${Math.round(record.fps)} frames a second` : "";
    bar.value = record.percent;
    bar.setAttribute("aria-label", `${name}, ${record.phase}`);
    tell(progress, `${record.phase} ${Math.round(record.percent)} %${speed}${left}`);
  };
  item.update(first);
  return item;
}

function waiting(one) {
  const item = make("li");
  const id = one.task.task_id;
  item.append(row(`${one.place}. ${one.task.label}`, button("Cancel", one.task.label, `cancel ${id}`, async () => {
    if (confirm(`Give up ${one.task.label}?`) && await ask(`api/tasks/${id}/cancel`)) say(`${one.task.label} was cancelled.`);
  })));
  item.append(make("p", `${clock(one.task.seconds ?? 0)}, priority ${one.priority}`, { class: "why" }));
  return item;
}

function explained(title, reason, advice, key, path) {
  const item = make("li");
  item.append(row(title, button("Try again", title, key, async () => {
    const told = await ask(path);
    const refused = told?.items?.find((one) => one.outcome === "refused");
    if (refused) say(refused.why, true);
    else if (told) say(`${title} is tried again.`);
  })));
  item.append(make("p", reason ?? "No reason was recorded.", { class: "bad" }));
  if (advice) item.append(make("p", advice, { class: "why" }));
  return item;
}

function figure([words, first]) {
  const item = make("li"), count = make("strong", "");
  item.append(count, ` ${words}`);
  item.update = ([, now]) => tell(count, String(now));
  item.update([words, first]);
  return item;
}

function video(one) {
  const item = make("li");
  const open = make("button", undefined, { type: "button", "data-key": `video ${one.task_id}`, on: () => play(one) });
  if (one.has_poster) open.append(make("img", undefined, { src: `media/${one.task_id}/poster`, alt: "", loading: "lazy" }));
  open.append(make("span", `Play ${one.label}${one.seconds ? `, ${clock(one.seconds)}` : ""}`));
  item.append(open);
  return item;
}

function play(one) {
  const film = at("film");
  film.replaceChildren();
  film.src = `media/${one.task_id}/video`;
  if (one.has_captions) {
    film.append(make("track", undefined, { kind: "captions", src: `media/${one.task_id}/captions`, label: "Captions" }));
  }
  const name = encodeURIComponent(`${one.label.replaceAll("/", " - ").slice(0, 100)}.${one.path.split(".").at(-1)}`);
  at("player-links").replaceChildren(
    make("a", "Download", { href: `media/${one.task_id}/video?download=${name}` }),
    ...(one.has_sheet ? [make("a", "Contact sheet", { href: `media/${one.task_id}/sheet`, target: "_blank" })] : []),
  );
  at("player-title").textContent = one.label;
  at("player").showModal();
  film.play().catch(() => {}); // browsers may want another press
}

at("close").addEventListener("click", () => at("player").close());
at("player").addEventListener("close", () => {
  at("film").pause();
  at("film").removeAttribute("src");
  at("film").load(); // lets its connection go
});

function draw(view) {
  const farm = view.farm;
  const counts = farm.counts;
  const main = farm.main_running ? farm.main_state : "not running";
  const trouble = farm.trouble ? ` – ${farm.trouble}` : "";
  at("main").textContent = farm.farm_pause ? `Farm paused by ${farm.farm_pause.by}` : `Main worker ${main}${trouble}`;
  at("main").classList.toggle("bad", Boolean(farm.trouble || !farm.main_running));
  const figures = { waiting: "tasks", "being rendered": "processing", finished: "output", failed: "trash/failed", "drops rejected": "trash/invalid" };
  list("counts", Object.entries(figures).map(([words, name]) => [words, counts[name]]), ([words]) => words, figure);
  at("pause").textContent = farm.farm_pause ? "Resume the farm" : "Pause the farm";
  at("pause").dataset.verb = farm.farm_pause ? "resume" : "pause";
  list("node-list", farm.nodes, (one) => one.record.node, node, "No render worker runs; start one with: reelmill render");
  list("queue-list", view.waiting, (one) => one.task.task_id, waiting, "Nothing waits.");
  const held = [...farm.pending.map((one) => [one.drop, one.doing]), ...farm.waiting_voices.map((one) => [one.voice, one.reason])];
  list("held-list", held, ([name]) => name, ([name, why]) => {
    const item = make("li");
    item.append(make("strong", name), make("p", why, { class: "why" }));
    return item;
  }, "Nothing.");
  list("rejected-list", farm.rejected, (one) => one.drop_id, (one) =>
    explained(one.drop, one.reason, one.advice, `drop ${one.drop_id}`, `api/rejected/${one.drop_id}/retry`), "None.");
  list("failed-list", farm.failed, (one) => one.task_id, (one) =>
    explained(one.label, one.reason, null, `task ${one.task_id}`, `api/tasks/${one.task_id}/retry`), "None.");
  newest = view.videos;
  finished = counts.output;
  drawVideos();
}

let newest = [], older = [], finished = 0;
function drawVideos() {
  const ids = new Set(newest.map((one) => one.task_id));
  const all = [...newest, ...older.filter((one) => !ids.has(one.task_id))];
  list("video-list", all, (one) => one.task_id, video, "None yet.");
  at("older").hidden = all.length >= finished;
}

at("older").addEventListener("click", async () => {
  const last = older.at(-1) ?? newest.at(-1);
  const answer = await fetch(`api/videos?after=${last.task_id}`, { headers: headers() }).catch(() => null);
  if (!answer?.ok) return say("Older videos could not be listed; try again.", true);
  const found = await answer.json();
  older.push(...found);
  drawVideos();
  if (found.length) at("video-list").querySelector(`[data-key="video ${found[0].task_id}"]`)?.focus();
});

at("pause").addEventListener("click", async () => {
  const told = await ask(`api/farm/${at("pause").dataset.verb}`);
  if (told) say(told.words);
});

at("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("token").value.trim());
  if (await ask("api/session")) {
    at("enter").hidden = true;
    at("token").value = "";
    say("The token was taken.");
    listen();
  }
});

let logTimer;
at("show-log").addEventListener("click", () => {
  const lines = at("log-lines");
  lines.hidden = !lines.hidden;
  at("show-log").setAttribute("aria-expanded", String(!lines.hidden));
  at("show-log").textContent = lines.hidden ? "Show the log" : "Hide the log";
  clearInterval(logTimer);
  if (!lines.hidden) {
    const read = async () => {
      const answer = await fetch("api/logs?lines=200", { headers: headers() });
      if (!answer.ok) return;
      const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
      lines.textContent = (await answer.json()).join("\n");
      if (isAtEnd) lines.scrollTop = lines.scrollHeight;
    };
    read();
    logTimer = setInterval(read, 2000);
  }
});

let source;
function listen() {
  source?.close();
  source = new EventSource("api/stream");
  source.onmessage = (event) => draw(JSON.parse(event.data));
  source.addEventListener("unreachable", (event) => say(JSON.parse(event.data), true));
  source.onerror = async () => {
    const answer = await fetch("api/history?limit=1", { headers: headers() }).catch(() => null);
    if (answer?.status === 401) {
      source.close();
      askForToken();
    } else if (!answer) {
      say("The server does not answer; this goes on by itself.", true);
    }
  };
}

// A page that nobody sees holds no connection: a browser has six for one server, and every open page would keep one.
document.addEventListener("visibilitychange", () => (document.hidden ? source?.close() : listen()));

if (sessionStorage.getItem(KEY)) await ask("api/session").catch(() => null);
listen();
