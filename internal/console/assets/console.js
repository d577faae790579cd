// What the console does beyond following its stream: it says when the stream is away, keeps clocks going, and keeps logs
// that are read at their end there. Every page is complete without it.
(() => {
  const banner = document.getElementById('connection');
  const live = document.getElementById('live');
  const silence = 16000; // three beats of the server, in milliseconds
  let heard = Date.now(); // when the stream was there last
  let away = false;
  const skew = Date.now() - Number(document.body.dataset.now); // of this clock against the server's

  const say = (text) => {
    away = text !== '';
    banner.hidden = !away;
    if (banner.textContent !== text) banner.textContent = text;
    document.body.classList.toggle('stale', away);
  };
  const lost = () => {
    if (!away) say('Reconnecting: this is how it was at ' + new Date(heard).toLocaleTimeString() + '.');
  };
  // A stream that never began is not begun again by itself: the page is loaded anew once the controller answers.
  const again = () => {
    heard = Date.now() - silence;
    fetch('/healthz', {cache: 'no-store'}).then((r) => { if (r.ok) location.reload(); }, () => {});
  };
  const alive = () => {
    heard = Date.now();
    if (away) say('');
  };

  live.addEventListener('beat', alive);
  document.addEventListener('htmx:sse:after:message', alive);
  document.addEventListener('htmx:sse:error', (e) => {
    if (e.detail.status === 401) location.reload();
    lost();
  });
  document.addEventListener('htmx:sse:before:connection', (e) => {
    if (e.detail.connection.attempt > 0) lost();
  });
  document.addEventListener('htmx:sse:close', lost);
  document.addEventListener('htmx:error', lost);

  // What may not be so any more is not acted on, by the keyboard neither.
  document.addEventListener('submit', (e) => { if (away) e.preventDefault(); }, true);

  const took = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' m ' + (s % 60) + ' s';
    return Math.floor(s / 3600) + ' h ' + Math.floor((s % 3600) / 60) + ' m';
  };
  setInterval(() => {
    if (document.hidden) {
      heard = Date.now(); // the stream rests while nobody looks
      return;
    }
    if (Date.now() - heard > silence) lost();
    if (Date.now() - heard > 2 * silence) again();
    if (away) return; // no clock goes on over what may not be so any more
    for (const el of document.querySelectorAll('[data-since]')) el.textContent = took(Date.now() - skew - Number(el.dataset.since));
  }, 1000);

  const atEnd = new Set();
  const logs = () => document.querySelectorAll('pre[data-follow]');
  const follow = () => { for (const el of logs()) if (!atEnd.has(el)) el.scrollTop = el.scrollHeight; };
  document.addEventListener('scroll', (e) => {
    const el = e.target;
    if (!(el instanceof HTMLElement) || !el.matches('pre[data-follow]')) return;
    if (el.scrollTop + el.clientHeight >= el.scrollHeight - 8) atEnd.delete(el); else atEnd.add(el);
  }, true);
  document.addEventListener('htmx:sse:after:message', follow);
  follow();
})();
