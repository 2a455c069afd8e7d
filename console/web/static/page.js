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
  const answer = await fetch(path, { ...options, body: body ? JSON.stringify(body) : undefined }).catch(() => null);
  if (!answer) {
    say("The server did not answer; whether it was done, the page shows once it does.", true);
    return null;
  }
  if (answer.status === 401) {
    askForToken();
    return null;
  }
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) say(typeof told.detail === "string" ? told.detail : `It was refused (${answer.status}).`, true);
  return answer.ok ? told : null;
}

let isAsking = false;
function askForToken() {
  isAsking = true;
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

function count(first) {
  const item = make("li"), number = make("strong", "");
  item.append(number, ` ${first.words}`);
  item.update = (now) => {
    if (!now.lost) tell(number, String(now.number));
    else if (!number.textContent) tell(number, "–"); // what cannot be counted is not none
    item.classList.toggle("stale", now.lost);
  };
  item.update(first);
  return item;
}

function drawFigures(figures) {
  const table = at("figure-table");
  table.hidden = at("figure-words").hidden = figures.rows.length === 0;
  const said = JSON.stringify(figures);
  if (table.dataset.said === said) return;
  table.dataset.said = said;
  const head = (words, scope) => make("th", words, { scope });
  table.querySelector("thead tr").replaceChildren(...["", ...figures.heads].map((words) => head(words, "col")));
  table.querySelector("tbody").replaceChildren(...figures.rows.map(([name, ...cells]) => {
    const line = make("tr");
    line.append(head(name, "row"), ...cells.map((words) => make("td", words)));
    return line;
  }));
  at("figure-notes").hidden = figures.rows.length > 0 && figures.notes.length === 0;
  list("figure-notes", figures.notes, (note) => note, (note) => make("li", note), "Nothing was rendered yet.");
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

// What of the root is not mounted looks empty; what was seen of it last stays instead, and says so.
function isLost(lost, folder) {
  return lost.some((one) => one === "./" || one.startsWith(folder) || folder.startsWith(one));
}

function kept(lost, folder, section, redraw) {
  const old = isLost(lost, folder);
  at(section).closest("section").classList.toggle("stale", old);
  if (!old) redraw();
}

function draw(view) {
  const farm = view.farm;
  const counts = farm.counts;
  const main = farm.main_running ? farm.main_state : "not running";
  const since = farm.paused_since ? ` since ${moment(farm.paused_since)}` : "";
  const trouble = `${since}${farm.trouble ? ` – ${farm.trouble}` : ""}`;
  at("not-mounted").hidden = !view.not_mounted;
  tell(at("not-mounted"), view.not_mounted);
  at("main").textContent = farm.farm_pause ? `Farm paused by ${farm.farm_pause.by}` : `Main worker ${main}${trouble}`;
  at("main").classList.toggle("bad", Boolean(farm.trouble || !farm.main_running));
  tell(at("disk"), view.disk);
  at("disk").className = view.is_low_on_disk ? "bad" : "why";
  const numbers = { waiting: "tasks", "being rendered": "processing", finished: "output", failed: "trash/failed", "drops rejected": "trash/invalid" };
  const counted = ([words, name]) => ({ words, number: counts[name], lost: isLost(farm.lost, `${name}/`) });
  list("counts", Object.entries(numbers).map(counted), (one) => one.words, count);
  at("pause").textContent = farm.farm_pause ? "Resume the farm" : "Pause the farm";
  at("pause").dataset.verb = farm.farm_pause ? "resume" : "pause";
  list("node-list", farm.nodes, (one) => one.record.node, node, "No render worker runs; start one with: reelmill render");
  drawFigures(view.figures);
  kept(farm.lost, "tasks/", "queue", () => {
    tell(at("queue-words"), view.queue);
    list("queue-list", view.waiting, (one) => one.task.task_id, waiting, "Nothing waits.");
  });
  const held = [...farm.pending.map((one) => [one.drop, one.doing]), ...farm.waiting_voices.map((one) => [one.voice, one.reason])];
  list("held-list", held, ([name]) => name, ([name, why]) => {
    const item = make("li");
    item.append(make("strong", name), make("p", why, { class: "why" }));
    return item;
  }, "Nothing.");
  kept(farm.lost, "trash/invalid/", "rejected", () => list("rejected-list", farm.rejected, (one) => one.drop_id, (one) =>
    explained(one.drop, one.reason, one.advice, `drop ${one.drop_id}`, `api/rejected/${one.drop_id}/retry`), "None."));
  kept(farm.lost, "trash/failed/", "failed", () => list("failed-list", farm.failed, (one) => one.task_id, (one) =>
    explained(one.label, one.reason, null, `task ${one.task_id}`, `api/tasks/${one.task_id}/retry`), "None."));
  kept(farm.lost, "output/", "videos", () => {
    newest = view.videos;
    finished = counts.output;
    drawVideos();
  });
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
    isAsking = false;
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
      const answer = await fetch("api/logs?lines=200", { headers: headers() }).catch(() => null);
      if (!answer?.ok) return;
      const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
      lines.textContent = (await answer.json()).join("\n");
      if (isAtEnd) lines.scrollTop = lines.scrollHeight;
    };
    read();
    logTimer = setInterval(read, 2000);
  }
});

// -- where nothing comes ----------------------------------------------------------------------------------------------

const SILENCE = 40_000; // the stream says every 15 seconds that it is alive; a line that broke unnoticed says nothing
const LONGEST_PAUSE = 30_000;

const moment = (when) => new Date(when).toLocaleString("sv-SE"); // 2026-11-27 14:03:12, by the clock of who looks

let shownAt = null; // when the picture was last known to be true
function stale(what, since, why) {
  const old = shownAt ? `What is shown is how it was at ${moment(shownAt)}.` : "Nothing is known yet.";
  const reason = why ? `: ${why.replace(/\.$/, "")}` : "";
  tell(at("outage"), `${what} since ${moment(since)}${reason}. ${old} This page goes on by itself.`);
  at("outage").hidden = false;
  document.body.classList.add("stale");
}

function fresh() {
  shownAt = Date.now();
  at("outage").hidden = true;
  at("outage").textContent = "";
  document.body.classList.remove("stale");
}

let source, silent, again, tries = 0, round = 0, lostAt = null, isRootGone = false;

function heard() {
  clearTimeout(silent);
  silent = setTimeout(lose, SILENCE);
  tries = 0;
  lostAt = null;
}

function listen() {
  hang();
  source = new EventSource("api/stream");
  silent = setTimeout(lose, SILENCE);
  source.onmessage = (event) => {
    heard();
    isRootGone = false;
    draw(JSON.parse(event.data));
    fresh();
  };
  source.addEventListener("alive", () => {
    heard();
    if (!isRootGone && shownAt) fresh();
  });
  source.addEventListener("unreachable", (event) => {
    heard();
    isRootGone = true;
    const told = JSON.parse(event.data);
    stale("The root cannot be reached", told.since, told.why);
  });
  source.onerror = lose;
}

function hang() {
  round += 1;
  source?.close();
  source = null;
  clearTimeout(silent);
  clearTimeout(again);
}

// Browsers try again by themselves after some errors, after others (a proxy that answers 502) never, and always at one pace.
async function lose() {
  hang();
  lostAt ??= Date.now();
  const mine = round, status = await streamStatus();
  if (mine !== round) return; // meanwhile it was tried anew, or nobody looks any more
  const pause = Math.min(LONGEST_PAUSE, 1000 * 2 ** tries++) * (0.75 + Math.random() / 2); // so that not all pages come at once
  again = setTimeout(listen, pause);
  if (status === 401) await enter();
  else if (status === null) stale("The server does not answer", lostAt);
  else if (status !== 200) stale(`The server cannot be used (it, or a proxy before it, answers ${status})`, lostAt);
  else if (tries > 2) stale("The server answers, but nothing more comes from it (a proxy may keep it back)", lostAt);
}

async function streamStatus() {
  const control = new AbortController();
  const patience = setTimeout(() => control.abort(), 10_000);
  const answer = await fetch("api/stream", { signal: control.signal }).catch(() => null);
  clearTimeout(patience);
  control.abort(); // only the status is wanted
  return answer?.status ?? null;
}

// The cookie is missing: it was never given, since the server was away when the page was opened, or the token is another now.
async function enter() {
  const answer = sessionStorage.getItem(KEY) ? await session() : { status: 401 };
  if (answer?.status !== 401) return;
  askForToken();
  hang();
}

const session = () => fetch("api/session", { method: "POST", headers: headers() }).catch(() => null);

// A page that nobody sees holds no connection: a browser has six for one server, and every open page would keep one.
document.addEventListener("visibilitychange", () => (document.hidden ? hang() : listen()));
addEventListener("online", () => document.hidden || isAsking || listen());

if (sessionStorage.getItem(KEY) && (await session())?.status === 401) askForToken();
listen();
