// The form counts what is typed; the album follows its server-sent events and swaps what changed.

const form = document.querySelector("form.order");
const grid = document.querySelector("#cards");
if (form) watchForm(form);
if (grid) watchAlbum(grid);

function watchForm(form) {
  const field = form.elements.prompts, count = form.querySelector("#count");
  const error = form.querySelector("#prompts-error"), limits = field.dataset;
  const bytes = new TextEncoder();

  function look() {
    const lines = field.value.split(/\r\n?|\n/).map((line) => line.trim()).filter(Boolean);
    count.textContent = lines.length ? `${lines.length.toLocaleString("en")} prompt${lines.length > 1 ? "s" : ""}.` : "";
    return lines;
  }

  // Said here before eight megabytes travel; the server has the last word.
  function wrong(lines) {
    const longest = lines.reduce((most, line) => Math.max(most, [...line].length), 0);
    if (lines.length > +limits.mostPrompts) return `${lines.length.toLocaleString("en")} prompts are too many.`;
    if (longest > +limits.mostCharacters) return `A prompt has ${longest.toLocaleString("en")} characters, which is too long.`;
    const size = bytes.encode(new URLSearchParams(new FormData(form)).toString()).length;
    return size > +limits.mostBytes ? "All prompts together are larger than 8 MB. Send them in several parts." : "";
  }

  field.addEventListener("input", look);
  form.addEventListener("submit", (event) => {
    const text = wrong(look());
    const button = form.querySelector("button");
    if (text || button.ariaDisabled) event.preventDefault();
    if (text) {
      error.textContent = text;
      field.ariaInvalid = "true";
      field.parentElement.classList.add("wrong");
      field.focus();
    } else {
      button.ariaDisabled = "true";
    }
  });
  // Back from the album: the browser shows the page as it was left.
  addEventListener("pageshow", () => { form.querySelector("button").ariaDisabled = null; look(); });
}

function watchAlbum(grid) {
  const bar = document.querySelector("#bar"), text = document.querySelector("#text");
  const told = document.querySelector("#told"), box = document.querySelector("#progress");
  const away = document.querySelector("#away");
  let source, saidAt = 0, running, again = false, worry;

  function follow() {
    leave();
    source = new EventSource(grid.dataset.events);
    source.addEventListener("progress", (event) => show(JSON.parse(event.data)));
    source.addEventListener("end", (event) => { leave(); show(JSON.parse(event.data)); });
    source.addEventListener("away", () => { away.textContent = away.dataset.redis; });
    // Every stream ends once a minute; only one that does not come again is worth a word.
    source.addEventListener("error", () => {
      fret();
      // After an answer that is no stream, a browser gives up for good.
      if (source?.readyState === EventSource.CLOSED) source.retry = setTimeout(follow, 3000);
    });
  }

  function leave() {
    clearTimeout(source?.retry);
    source?.close();
    source = null;
  }

  function fret() {
    worry ??= setTimeout(() => { away.textContent = away.dataset.server; }, 3000);
  }

  function calm() {
    clearTimeout(worry);
    worry = undefined;
    away.textContent = "";
  }

  function show(now) {
    bar.max = now.size;
    bar.value = now.done;
    text.textContent = now.text;
    box.classList.toggle("over", now.is_over);
    grid.toggleAttribute("data-over", now.is_over);
    // A screen reader is told now and then, not of every single picture.
    if (now.is_over || Date.now() - saidAt > 5000) {
      saidAt = Date.now();
      told.textContent = now.text;
    }
    refresh();
  }

  // One request at a time; what changes meanwhile is fetched after it.
  async function refresh() {
    if (running) { again = true; return; }
    running = true;
    try {
      do {
        again = false;
        const answer = await fetch(grid.dataset.cards);
        if (answer.status >= 500) throw new Error(answer.statusText);
        if (answer.ok) swap(await answer.text());
      } while (again);
      calm();
    } catch {
      // The stream may have said its last word, so this does not wait for another one.
      fret();
      setTimeout(refresh, 2000);
    } finally { running = false; }
  }

  function swap(html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    for (const card of fresh.content.querySelectorAll("li")) {
      const old = document.getElementById(card.id);
      if (!old || old.dataset.version === card.dataset.version) continue;
      const hadFocus = old.contains(document.activeElement);
      old.replaceWith(card);
      if (hadFocus) card.querySelector("a, button, video, .said").focus({ preventScroll: true });
    }
  }

  grid.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = event.target;
    const button = sent.querySelector("button");
    if (button.ariaDisabled) return;
    button.ariaDisabled = "true";
    try {
      const answer = await fetch(sent.action, { method: "POST", body: new URLSearchParams(new FormData(sent)) });
      if (answer.status >= 500) throw new Error(answer.statusText);
      if (!answer.ok) { location.reload(); return; }
      told.textContent = "Trying again.";
      await refresh();
      follow();
    } catch {
      button.ariaDisabled = null;
      away.textContent = away.dataset.again;
    }
  });

  // A page nobody looks at holds no connection: browsers allow six of them to one host.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave();
    else if (!grid.hasAttribute("data-over")) follow();
  });
  if (!grid.hasAttribute("data-over") && !document.hidden) follow();
}
