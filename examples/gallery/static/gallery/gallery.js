// The form counts the prompts. The album listens to its server-sent events and replaces changed cards.

const form = document.querySelector("form.order:not(.once)");
const album = document.querySelector("#album");
if (form) watchForm(form);
if (album) watchAlbum(album);
for (const once of document.querySelectorAll("form.once")) sendOnce(once);

// A second click does nothing. After "back", the browser restores the page with its disabled button.
function sendOnce(form) {
  const button = form.querySelector("button");
  form.addEventListener("submit", (event) => {
    if (button.ariaDisabled) event.preventDefault();
    button.ariaDisabled = "true";
  });
  addEventListener("pageshow", () => { button.ariaDisabled = null; });
}

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

function watchAlbum(album) {
  const bar = document.querySelector("#bar"), text = document.querySelector("#text");
  const announcement = document.querySelector("#announcement"), box = document.querySelector("#progress");
  const away = document.querySelector("#away"), waits = document.querySelector("#waits");
  const notice = document.querySelector("#notice");
  let source, announcedAt = 0, isRefreshing, isOutdated = false, warningTimer;

  function connect() {
    disconnect();
    source = new EventSource(album.dataset.events);
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
    waits.textContent = now.waits;
    box.classList.toggle("over", now.is_over);
    album.toggleAttribute("data-over", now.is_over);
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
        const answer = await fetch(album.dataset.cards);
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

  // Afterwards the page has exactly what the server sent; what did not change keeps its place and focus.
  function swap(html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    const cards = document.getElementById("cards"), hasFocus = cards.contains(document.activeElement);
    const kept = [...fresh.content.querySelectorAll("#cards > li")].map((card) => keep(cards, card));
    if (kept.length !== cards.children.length || kept.some((card, at) => card !== cards.children[at])) {
      cards.replaceChildren(...kept);
    }
    if (hasFocus && !cards.contains(document.activeElement)) notice.focus({ preventScroll: true });
    for (const id of ["buttons", "empty", "pages"]) replace(id, fresh.content.getElementById(id));
  }

  // Return the card that is shown, if it is the same, else the fresh one in its place.
  function keep(cards, card) {
    const old = [...cards.children].find((shown) => shown.id === card.id);
    if (old?.dataset.version === card.dataset.version) return old;
    if (!old) return card;
    const hadFocus = old.contains(document.activeElement);
    old.replaceWith(card);
    if (hadFocus) card.querySelector("a, button, video, .caption").focus({ preventScroll: true });
    return card;
  }

  function replace(id, part) {
    const old = document.getElementById(id);
    const isSame = part.dataset.version ? part.dataset.version === old.dataset.version : part.innerHTML === old.innerHTML;
    if (isSame) return;
    const at = [...old.querySelectorAll("a, button")].indexOf(document.activeElement);
    old.replaceWith(part);
    if (at >= 0) (part.querySelectorAll("a, button")[at] ?? notice).focus({ preventScroll: true });
  }

  album.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = event.target;
    const button = sent.querySelector("button");
    if (button.ariaDisabled) return;
    button.ariaDisabled = "true";
    try {
      const body = new URLSearchParams(new FormData(sent));
      const answer = await fetch(sent.action, { method: "POST", body, headers: { Accept: "application/json" } });
      if (answer.status >= 500) throw new Error(answer.statusText);
      if (!answer.ok) { location.reload(); return; }
      const result = await answer.json();
      if (result.url) { location.assign(result.url); return; }
      notice.textContent = result.text;
      await refresh();
      connect();
    } catch {
      away.textContent = away.dataset.again;
    } finally {
      button.ariaDisabled = null;
    }
  });

  // A hidden page holds no connection, because browsers allow only six per host.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else if (!album.hasAttribute("data-over")) connect();
  });
  if (!album.hasAttribute("data-over") && !document.hidden) connect();
}
