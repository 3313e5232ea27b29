// What the pages need a browser for: events go out, cards react, rows turn, keys work. Nothing else is asked of it.
"use strict";

const user = document.body.dataset.user;
const seen = new Set();
let waiting = [];

function eventId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

function eventOf(card, kind, value) {
  const made = { event_id: eventId(), user_id: user, item_id: card.dataset.item, kind, time: Date.now() * 1000 };
  if (value !== undefined) made.value = value;
  if (card.dataset.rec) {
    made.recommendation_id = card.dataset.rec;
    made.slot = Number(card.dataset.slot);
  }
  return made;
}

// Sending the same events again is safe: each counts once.
async function post(events, tries = 3) {
  try {
    const answer = await fetch("/v1/events", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ events }),
      keepalive: true,
    });
    if (answer.ok) {
      const { rejected } = await answer.json();
      return rejected.length === 0;
    }
    if (answer.status < 500 && answer.status !== 429) return false;
  } catch { /* no network: try again */ }
  if (tries <= 1) return false;
  await new Promise((done) => setTimeout(done, 1500));
  return post(events, tries - 1);
}

function say(text) {
  const toast = document.querySelector(".toast");
  toast.textContent = text;
  toast.classList.add("up");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove("up"), 4000);
}

const titleOf = (card) => card.querySelector(".poster-title").textContent;

async function like(card) {
  const button = card.querySelector(".like");
  if (!user || button.getAttribute("aria-pressed") === "true") return;
  button.setAttribute("aria-pressed", "true");
  if (await post([eventOf(card, "like")])) {
    say(`You liked ${titleOf(card)}. The next page knows.`);
  } else {
    button.setAttribute("aria-pressed", "false");
    say("That could not be saved. Try again.");
  }
}

async function dismiss(card) {
  if (!user) return;
  if (!(await post([eventOf(card, "dismiss")]))) {
    say("That could not be saved. Try again.");
    return;
  }
  const next = card.nextElementSibling || card.previousElementSibling;
  if (card.contains(document.activeElement) && next) next.querySelector("a.poster").focus();
  say(`${titleOf(card)} will not come back.`);
  if (card.matches("article")) return;
  card.classList.add("gone");
  setTimeout(() => card.remove(), 450);
}

// Shown: at least half of a card in view for a second. Sent a few at a time, and when the page is left.
function flush() {
  if (!waiting.length) return;
  const events = waiting;
  waiting = [];
  post(events);
}

function watchImpressions() {
  const timers = new Map();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      clearTimeout(timers.get(target));
      if (!isIntersecting) continue;
      timers.set(target, setTimeout(() => {
        observer.unobserve(target);
        const key = `${target.dataset.rec}/${target.dataset.slot}`;
        if (seen.has(key)) return;
        seen.add(key);
        waiting.push(eventOf(target, "impression"));
        if (waiting.length >= 20) flush();
      }, 1000));
    }
  }, { threshold: 0.5 });
  for (const card of document.querySelectorAll(".card[data-rec]")) observer.observe(card);
  setInterval(flush, 5000);
}

function turn(button) {
  const list = button.closest(".row").querySelector(".cards");
  list.scrollBy({ left: Number(button.dataset.turn) * list.clientWidth * 0.8, behavior: "smooth" });
}

function watchTurns() {
  for (const list of document.querySelectorAll(".cards")) {
    const [back, on] = list.closest(".row").querySelectorAll("[data-turn]");
    const update = () => {
      back.disabled = list.scrollLeft < 4;
      on.disabled = list.scrollLeft + list.clientWidth > list.scrollWidth - 4;
    };
    list.addEventListener("scroll", update, { passive: true });
    new ResizeObserver(update).observe(list);
    update();
  }
}

function move(card, key) {
  const lists = [...document.querySelectorAll(".cards, .grid")];
  const cards = (list) => [...list.querySelectorAll(".card:not(.gone)")];
  const list = card ? card.closest(".cards, .grid") : null;
  if (!list) return lists.length ? cards(lists[0])[0] : null;
  const at = cards(list).indexOf(card);
  if (key === "ArrowLeft" || key === "ArrowRight") return cards(list)[at + (key === "ArrowRight" ? 1 : -1)];
  const other = lists[lists.indexOf(list) + (key === "ArrowDown" ? 1 : -1)];
  if (!other) return null;
  const x = card.getBoundingClientRect().left;
  const distance = (c) => Math.abs(c.getBoundingClientRect().left - x);
  return cards(other).reduce((best, c) => (best && distance(best) <= distance(c) ? best : c), null);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const card = event.target.closest(".card");
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("[data-key='/']").focus();
  } else if (event.key === "i" || event.key === "I") {
    const on = document.body.classList.toggle("show-numbers");
    localStorage.setItem("numbers", on ? "1" : "");
  } else if (card && (event.key === "l" || event.key === "L")) {
    like(card);
  } else if (card && (event.key === "x" || event.key === "X")) {
    dismiss(card);
  } else if (event.key.startsWith("Arrow") && (card || event.target === document.body)) {
    const next = move(card, event.key);
    if (!next) return;
    event.preventDefault();
    next.querySelector("a.poster").focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "smooth" });
  }
}

async function change(button) {
  const path = "promote" in button.dataset ? `/v1/models/${encodeURIComponent(button.dataset.promote)}/promote` : "/v1/models/rollback";
  button.disabled = true;
  const answer = await fetch(path, { method: "POST" });
  if (answer.ok) {
    location.reload();
    return;
  }
  button.disabled = false;
  say((await answer.json()).detail);
}

function onClick(event) {
  const button = event.target.closest("button");
  const card = event.target.closest(".card");
  if (button && button.matches(".like")) like(card);
  else if (button && button.matches(".dismiss")) dismiss(card);
  else if (button && button.dataset.turn) turn(button);
  else if (button && ("promote" in button.dataset || "rollback" in button.dataset)) change(button);
  else if (user && card && !card.matches("article") && event.target.closest("a")) post([eventOf(card, "click")], 1);
}

// How long the page of an item was looked at, while it was in front.
function watchDwell(card) {
  let since = performance.now();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      since = performance.now();
      return;
    }
    const seconds = Math.round((performance.now() - since) / 100) / 10;
    if (seconds >= 1) post([eventOf(card, "dwell", seconds)], 1);
  });
}

function watchSystem() {
  setInterval(async () => {
    if (document.visibilityState !== "visible" || document.querySelector("main button:focus")) return;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
  }, 5000);
}

document.addEventListener("click", onClick);
document.addEventListener("auxclick", (event) => { if (event.button === 1) onClick(event); });
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") flush(); });
document.body.classList.toggle("show-numbers", localStorage.getItem("numbers") === "1");
watchTurns();
if (user) watchImpressions();
const article = document.querySelector("article.card");
if (user && article) watchDwell(article);
if (document.body.dataset.page === "system") watchSystem();
for (const input of document.querySelectorAll(".who input, .pick input, .pick select")) {
  input.addEventListener("change", () => { if (input.value) input.form.submit(); });
}
