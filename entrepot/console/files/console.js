// What a page does beyond being read: it keeps itself current, and copies commands.
// Everything else works without it.
"use strict";

(() => {
  // Make `old` what `made` is, element by element, so that focus, selection and the movement of bars
  // stay: what is alike is kept, what differs is changed or replaced.
  const become = (old, made) => {
    const before = [...old.childNodes], after = [...made.childNodes];
    after.forEach((node, place) => {
      const there = before[place];
      if (!there) old.append(node);
      else if (there.nodeType !== node.nodeType || there.nodeName !== node.nodeName) there.replaceWith(node);
      else if (node.nodeType === Node.TEXT_NODE) {
        if (there.data !== node.data) there.data = node.data;
      } else {
        for (const { name } of [...there.attributes]) if (!node.hasAttribute(name)) there.removeAttribute(name);
        for (const { name, value } of node.attributes) {
          if (there.getAttribute(name) !== value) there.setAttribute(name, value);
        }
        become(there, node);
      }
    });
    before.slice(after.length).forEach((node) => node.remove());
  };

  const topic = document.body.dataset.live;
  const sign = document.getElementById("live");
  let source = null;

  const say = (isLive) => {
    if (!sign || sign.classList.contains("on") === isLive) return;
    sign.classList.toggle("on", isLive);
    sign.textContent = isLive ? "live" : "not live";
  };

  const listen = () => {
    source = new EventSource(`/events?of=${encodeURIComponent(topic)}`);
    source.onopen = () => say(true);
    source.onmessage = ({ data }) => {
      const { id, html } = JSON.parse(data);
      const part = document.getElementById(id);
      // A document of its own: nothing in it runs, whatever it is.
      if (part) become(part, new DOMParser().parseFromString(html, "text/html").body);
    };
    source.onerror = () => {
      say(false);
      // Refused for good, as far as the browser is concerned; there may be room later.
      if (source && source.readyState === EventSource.CLOSED) setTimeout(follow, 10000);
    };
  };

  // A page that nobody sees holds no connection: a browser has six for all pages of an address.
  const follow = () => {
    if (source) source.close();
    source = null;
    if (document.hidden) say(false);
    else listen();
  };

  if (topic) {
    document.addEventListener("visibilitychange", follow);
    addEventListener("pagehide", () => source && source.close());
    addEventListener("pageshow", (event) => event.persisted && follow());
    follow();
  }

  const copy = async (element) => {
    try {
      await navigator.clipboard.writeText(element.textContent);
    } catch {
      // Without TLS a browser has no clipboard but for this.
      getSelection().selectAllChildren(element);
      document.execCommand("copy");
    }
  };

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await copy(document.getElementById(button.dataset.copy));
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // "/" is where to search, as in many a page, unless somebody is writing.
  addEventListener("keydown", (event) => {
    const field = document.getElementById("q");
    const isWriting = event.target instanceof Element && event.target.closest("input, textarea");
    if (event.key !== "/" || !field || isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    field.focus();
  });
})();
