// The welcome page: reads the learner's progress and the engines as JSON, and shows them. No library, no build step.
"use strict";

const $ = (id) => document.getElementById(id);
const SIGNS = { passed: "✓", failed: "✗", open: "·" };
const WORDS = { passed: "passed", failed: "not yet", open: "open" };

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function link(url, text) {
  const made = element("a", "", text);
  made.href = url;
  return made;
}

function when(seconds) {
  const then = new Date(seconds * 1000);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(then).setHours(0, 0, 0, 0)) / 86400000);
  const day = new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-days, "day");
  if (days > 6) return "on " + then.toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });
  return day + " at " + then.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

function mark(exercise) {
  const name = `Exercise ${exercise.number} ${exercise.title}: ${WORDS[exercise.status]}`;
  const shown = element("span", "", `${SIGNS[exercise.status]} ${exercise.number}`);
  shown.setAttribute("aria-hidden", "true");
  const made = element("li", "mark " + exercise.status, shown, element("span", "hidden-text", name));
  made.title = name;
  return made;
}

function bar(notebook) {
  const fill = element("i");
  fill.style.width = `${(100 * notebook.earned) / (notebook.points || 1)}%`;
  const made = element("div", "bar", fill);
  made.setAttribute("aria-hidden", "true"); // the numbers beside it say the same
  return made;
}

function card(notebook) {
  const title = `${notebook.number} · ${notebook.title}`;
  const made = element("li", "notebook");
  made.append(element("h3", "", notebook.url ? link(notebook.url, title) : title));
  if (!notebook.url) {
    made.classList.add("absent");
    made.append(element("p", "soft", notebook.problem));
    return made;
  }
  const worked = notebook.worked ? `last worked ${when(notebook.worked)}` : "not started";
  const spent = notebook.spent >= 60 ? ` · ${duration(notebook.spent)} so far` : "";
  made.append(element("p", "soft", notebook.minutes ? `${notebook.minutes} minutes · ${worked}${spent}` : worked + spent));
  made.append(element("ul", "marks", ...notebook.exercises.map(mark)));
  made.append(element("p", "soft", `${notebook.passed} of ${notebook.exercises.length} exercises · ` +
    `${notebook.earned} of ${notebook.points} points, ${notebook.hidden} more when graded`), bar(notebook));
  return made;
}

function total(label, value) {
  return element("div", "", element("dt", "", label), element("dd", "", value));
}

function showProgress(answer) {
  const notebooks = answer.notebooks.filter((notebook) => notebook.url);
  const sum = (count) => notebooks.reduce((total, notebook) => total + count(notebook), 0);
  const started = notebooks.filter((notebook) => notebook.worked);
  $("next").textContent = answer.next.text;
  $("go").hidden = !answer.next.url;
  if (answer.next.url) $("go").href = answer.next.url;
  $("totals").replaceChildren(
    total("exercises passed", `${sum((n) => n.passed)} of ${sum((n) => n.exercises.length)}`),
    total("points of visible checks", `${sum((n) => n.earned)} of ${sum((n) => n.points)}`),
    total("time spent", duration(sum((n) => n.spent))),
    total("last worked", started.length ? when(Math.max(...started.map((n) => n.worked))) : "not yet"));
  $("notebooks").replaceChildren(...answer.notebooks.map(card));
  $("problem").hidden = answer.kept_in !== null;
  $("problem").textContent = answer.kept_in !== null ? "" :
    "Your progress cannot be kept: neither the folder of the notebooks nor your data folder can be written to.";
  $("kept").textContent = answer.kept_in === null ? "" :
    `Your progress is kept on this machine, in ${answer.kept_in}, and sent nowhere.`;
}

function showEngines(answer) {
  const missing = answer.engines.filter((engine) => engine.version === null);
  const found = answer.engines.length - missing.length;
  $("engines-summary").textContent = missing.length
    ? `${found} of ${answer.engines.length} were found. The notebooks do without the others and say so:`
    : `All ${found} were found.`;
  $("missing").replaceChildren(...missing.map((engine) =>
    element("li", "", element("strong", "", engine.name), `: ${engine.used_for}. Without it: ${engine.without}.`)));
  $("engines").replaceChildren(...answer.engines.map((engine) => element("tr", "",
    element("td", "", engine.name), element("td", "", engine.used_for), element("td", "", engine.version ?? "not found"))));
  $("engines-all").hidden = false;
}

async function ask(what) {
  // JupyterHub's servers answer those only who send back the token of their cookie, also to a GET.
  const token = document.cookie.match(/\b_xsrf=([^;]*)\b/);
  const headers = { Accept: "application/json", ...(token && { "X-XSRFToken": token[1] }) };
  const answer = await fetch("api/" + what, { headers });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.json();
}

let last = "";

async function refresh() {
  try {
    const answer = await ask("progress");
    if (JSON.stringify(answer) === last) return; // a page that did not change keeps the reader's place
    showProgress(answer);
    last = JSON.stringify(answer);
  } catch (error) {
    $("problem").hidden = false;
    $("problem").textContent = `JupyterLab does not answer (${error.message}). Start it again with: make lab`;
    last = "";
  }
}

refresh();
ask("engines").then(showEngines, (error) => { $("engines-summary").textContent = `They could not be looked up: ${error.message}.`; });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
window.addEventListener("pageshow", refresh);
setInterval(() => { if (!document.hidden) refresh(); }, 5000);
