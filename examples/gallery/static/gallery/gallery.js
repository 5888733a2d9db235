// The form counts the prompts. The album listens to its server-sent events and replaces changed cards.

const form = document.querySelector("form.order");
const grid = document.querySelector("#cards");
if (form) watchForm(form);
if (grid) watchAlbum(grid);

function watchForm(form) {
  const field = form.elements.prompts, count = form.querySelector("#count");
  const error = form.querySelector("#prompts-error"), limits = field.dataset;
  const bytes = new TextEncoder();

  function countPrompts() {
    const lines = field.value.split(/\r\n?|\n/).map((line) => line.trim()).filter(Boolean);
    count.textContent = lines.length ? `${lines.length.toLocaleString("en")} prompt${lines.length > 1 ? "s" : ""}.` : "";
    return lines;
  }

  // Checked here before eight megabytes are sent. The server checks again.
  function wrong(lines) {
    const longest = lines.reduce((most, line) => Math.max(most, [...line].length), 0);
    if (lines.length > +limits.mostPrompts) return `${lines.length.toLocaleString("en")} prompts are too many.`;
    if (longest > +limits.mostCharacters) return `A prompt has ${longest.toLocaleString("en")} characters, which is too long.`;
    const size = bytes.encode(new URLSearchParams(new FormData(form)).toString()).length;
    return size > +limits.mostBytes ? "All prompts together are larger than 8 MB. Send them in several parts." : "";
  }

  field.addEventListener("input", countPrompts);
  form.addEventListener("submit", (event) => {
    const text = wrong(countPrompts());
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
  // After "back" from the album, the browser restores the page with its disabled button.
  addEventListener("pageshow", () => { form.querySelector("button").ariaDisabled = null; countPrompts(); });
}

function watchAlbum(grid) {
  const bar = document.querySelector("#bar"), text = document.querySelector("#text");
  const announcement = document.querySelector("#announcement"), box = document.querySelector("#progress");
  const away = document.querySelector("#away");
  let source, announcedAt = 0, isRefreshing, isOutdated = false, warningTimer;

  function connect() {
    disconnect();
    source = new EventSource(grid.dataset.events);
    source.addEventListener("progress", (event) => show(JSON.parse(event.data)));
    source.addEventListener("end", (event) => { disconnect(); show(JSON.parse(event.data)); });
    source.addEventListener("away", () => { away.textContent = away.dataset.redis; });
    // Every stream ends after a minute. A warning appears only if it is not reopened.
    source.addEventListener("error", () => {
      warnLater();
      // After an answer that is not a stream, a browser does not reconnect.
      if (source?.readyState === EventSource.CLOSED) source.retry = setTimeout(connect, 3000);
    });
  }

  function disconnect() {
    clearTimeout(source?.retry);
    source?.close();
    source = null;
  }

  function warnLater() {
    warningTimer ??= setTimeout(() => { away.textContent = away.dataset.server; }, 3000);
  }

  function clearWarning() {
    clearTimeout(warningTimer);
    warningTimer = undefined;
    away.textContent = "";
  }

  function show(now) {
    bar.max = now.size;
    bar.value = now.done;
    text.textContent = now.text;
    box.classList.toggle("over", now.is_over);
    grid.toggleAttribute("data-over", now.is_over);
    // Announce progress to screen readers at most every five seconds, not for each picture.
    if (now.is_over || Date.now() - announcedAt > 5000) {
      announcedAt = Date.now();
      announcement.textContent = now.text;
    }
    refresh();
  }

  // One request at a time. A change during the request causes another one.
  async function refresh() {
    if (isRefreshing) { isOutdated = true; return; }
    isRefreshing = true;
    try {
      do {
        isOutdated = false;
        const answer = await fetch(grid.dataset.cards);
        if (answer.status >= 500) throw new Error(answer.statusText);
        if (answer.ok) swap(await answer.text());
      } while (isOutdated);
      clearWarning();
    } catch {
      // The stream may have ended, so retry without waiting for an event.
      warnLater();
      setTimeout(refresh, 2000);
    } finally { isRefreshing = false; }
  }

  function swap(html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    for (const card of fresh.content.querySelectorAll("li")) {
      const old = document.getElementById(card.id);
      if (!old || old.dataset.version === card.dataset.version) continue;
      const hadFocus = old.contains(document.activeElement);
      old.replaceWith(card);
      if (hadFocus) card.querySelector("a, button, video, .caption").focus({ preventScroll: true });
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
      announcement.textContent = "Trying again.";
      await refresh();
      connect();
    } catch {
      button.ariaDisabled = null;
      away.textContent = away.dataset.again;
    }
  });

  // A hidden page holds no connection, because browsers allow only six per host.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else if (!grid.hasAttribute("data-over")) connect();
  });
  if (!grid.hasAttribute("data-over") && !document.hidden) connect();
}
