// What the programs share: printing, the listener's switch, waiting.
import net from "node:net";

export const show = (name, value) => console.log(name, JSON.stringify(value));
export const refused = (call) => call().catch((error) => error.message);
export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
// A time to live, which may have lost some seconds on a busy machine.
export const about = (expected, found) => (found <= expected && found > expected - 8 ? `about ${expected}` : found);

export const until = async (probe) => {
  for (let tries = 0; tries < 1000; tries++) {
    const value = await probe();
    if (value) return value;
    await sleep(10);
  }
  throw new Error("waited in vain");
};

// Has the listener stopped ("stop") or started again ("start").
export const listener = (word) => new Promise((done, failed) => {
  const peer = net.connect(process.env.CONTROL, () => peer.write(word));
  peer.on("data", () => peer.end());
  peer.on("close", done);
  peer.on("error", failed);
});

// An Express app served at a free port, and a browser for it: status, the named headers, the body.
export const serve = (app, ...headers) => new Promise((done) => {
  const server = app.listen(0, "127.0.0.1", () => {
    const visit = async (method, path, { cookie, body, forwarded } = {}) => {
      const sent = { ...(cookie && { cookie }), ...(body && { "content-type": "application/json" }), ...(forwarded && { "x-forwarded-proto": "https" }) };
      const reply = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { method, headers: sent, body: body && JSON.stringify(body) });
      const set = reply.headers.get("set-cookie");
      return { status: reply.status, headers: headers.map((name) => reply.headers.get(name)), body: await reply.json(), cookie: set };
    };
    done({ server, visit, close: () => new Promise((closed) => server.close(closed) && server.closeAllConnections()) });
  });
});

// A cookie's attributes without what differs from run to run.
export const attributes = (cookie) => cookie && cookie.replace(/=s%3A[^;]*/, "=ID").replace(/Expires=[^;]*/, "Expires=T");

// A database that counts how often it is asked.
export class Database {
  rows = new Map();
  asked = 0;

  find(id) {
    this.asked++;
    return Promise.resolve(this.rows.get(id) ?? null);
  }

  update(id, changes) {
    this.rows.set(id, { ...this.rows.get(id), ...changes });
    return Promise.resolve(this.rows.get(id));
  }
}
