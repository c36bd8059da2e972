// Opens the proxy's own WebSockets, and shows what comes back: the page has a line for each, with its words.
const LIMIT = 10_000;
const SIZES = [200, 200 * 1024];

/** Sends so many bytes, and waits until they are back. */
const trip = (socket, size) =>
  new Promise((resolve, reject) => {
    const sent = 'x'.repeat(size);
    socket.onmessage = ({ data }) => (data === sent ? resolve() : reject(new Error('other')));
    socket.onclose = ({ code }) => reject(new Error(String(code)));
    socket.send(sent);
  });

const opened = (socket) =>
  new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = ({ code }) => reject(new Error(String(code)));
  });

const within = (work) =>
  Promise.race([work, new Promise((_, reject) => setTimeout(() => reject(new Error('time')), LIMIT))]);

const look = async (line) => {
  let socket;
  try {
    socket = new WebSocket(line.dataset.url);
    const begun = performance.now();
    await within(opened(socket));
    for (const size of SIZES) await within(trip(socket, size));
    line.textContent = line.dataset.good.replace('{}', String(Math.ceil(performance.now() - begun)));
    line.className = 'good';
    return true;
  } catch (error) {
    line.textContent = `${line.dataset.bad} (${error.message})`;
    line.className = 'bad';
    return false;
  } finally {
    socket?.close();
  }
};

const lines = [...document.querySelectorAll('[data-url]')];
// For whoever drives the page.
Promise.all(lines.map(look)).then((well) => {
  window.result = { well, texts: lines.map((line) => line.textContent) };
});
