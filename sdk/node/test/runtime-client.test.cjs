// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What stands for the addon of aws-lambda-ric, against a runtime API that says what it is told to.
 *
 * The addon itself has to be compiled. If NEXUS_RAPID_CLIENT names one, it makes the same calls, and all has to be the same.
 */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

/**
 * A function's name and its arguments; 'pause' takes milliseconds, 'interrupted' has a signal come before each call of the system.
 * @typedef {(string | number | { length: number })[]} Call
 */
/**
 * Bytes to send, milliseconds to wait; null ends the connection, and 'early' at the beginning means not to wait for the body.
 * @typedef {(Buffer | number | null | 'early')[]} Reply
 */
/** @typedef {{ connection: number, lines: string[], body: string }} Asked */
/** @typedef {{ gave: any[], log: string, ours: boolean, addon: boolean, asked: Asked[] }} Seen */

const ADDON = process.env['NEXUS_RAPID_CLIENT'];
const ID = '8476a536-e9f4-11e8-9739-2dfe598c3fcd';
const MIB = 1 << 20;
const OK = answer(202, '{"status":"OK"}\n');
/** @type {Call} */
const NEXT = ['next'];
const SAID = {
  'lambda-runtime-deadline-ms': 1700000003500,
  'lambda-runtime-aws-request-id': ID,
  'lambda-runtime-trace-id': '',
  'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:eu-west-1:000000000000:function:f',
};
const NO_EVENT = { error: 'Error: Failed to get next invocation, error -1' };
const NO_RESPONSE = '[ERROR] [time] LAMBDA_RUNTIME Failed to get next invocation. No Response from endpoint\n';

/** The addon, or a file that looks like one: it is known by the names in it. */
let standsFor = ADDON ?? process.env['NEXUS_TEST_ADDON'] ?? '';

/**
 * An answer of the runtime API.
 * @param {number} status
 * @param {string | Buffer} body
 * @param {Record<string, string | undefined>} [fields]
 */
function answer(status, body, fields = {}) {
  const bytes = Buffer.from(body);
  const all = { 'Content-Length': String(bytes.length), 'Content-Type': 'application/json', ...fields };
  const head = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Whatever\r\n${head.join('')}\r\n`), bytes]);
}

/**
 * An event with what the runtime API always says of it.
 * @param {string | Buffer} [body]
 * @param {Record<string, string | undefined>} [fields]
 */
function event(body = '{}', fields = {}) {
  const always = {
    'Lambda-Runtime-Aws-Request-Id': ID,
    'Lambda-Runtime-Deadline-Ms': '1700000003500',
    'Lambda-Runtime-Invoked-Function-Arn': SAID['lambda-runtime-invoked-function-arn'],
  };
  return answer(200, body, { ...always, ...fields });
}

/**
 * @param {string} text
 */
function shown(text) {
  return text.length < 1000 ? text : `${text.length}: ${createHash('sha256').update(text).digest('hex')}`;
}

/** A runtime API that follows a script, whatever connection a request comes by. */
class RuntimeApi {
  /** @type {Asked[]} */
  asked = [];
  #connections = 0;
  #script;

  /**
   * @param {Reply[]} script
   */
  constructor(script) {
    this.#script = [...script];
    this.server = net.createServer((socket) => this.#serve(socket, this.#connections++));
  }

  /**
   * @param {net.Socket} socket
   * @param {number} connection
   */
  #serve(socket, connection) {
    let data = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      data = Buffer.concat([data, piece]);
      const end = data.indexOf('\r\n\r\n');
      const head = data.toString('utf8', 0, Math.max(end, 0));
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      if (end >= 0 && this.#script[0]?.[0] === 'early') {
        socket.pause();
        this.asked.push({ connection, lines: [], body: 'early' });
        this.#reply(socket);
        return;
      }
      if (end < 0 || data.length < end + 4 + length) {
        return;
      }
      // The addon tells which it is, and what it takes.
      const lines = head.split('\r\n').filter((line) => !/^(Host|Accept|User-Agent):/.test(line));
      this.asked.push({ connection, lines: lines.sort(), body: shown(data.toString('latin1', end + 4)) });
      data = Buffer.alloc(0);
      this.#reply(socket);
    });
  }

  /**
   * @param {net.Socket} socket
   */
  async #reply(socket) {
    for (const part of this.#script.shift() ?? [null]) {
      if (part === null) {
        socket.destroy();
      } else if (typeof part === 'number') {
        await sleep(part);
      } else if (part !== 'early') {
        socket.write(part);
      }
    }
  }
}

/**
 * Makes calls in another process, which ends when they are made.
 * @param {boolean} standIn
 * @param {Call[]} calls
 * @param {Reply[]} script
 * @returns {Promise<Seen>}
 */
async function run(standIn, calls, script) {
  const api = new RuntimeApi(script);
  api.server.listen(0, '127.0.0.1');
  await once(api.server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (api.server.address());
  if (script.length === 0) {
    api.server.close();
  }
  const require = standIn ? ['--require', path.join(__dirname, '../register.cjs')] : [];
  const env = {
    ...process.env,
    AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
    NEXUS_TEST_CALLS: JSON.stringify(calls),
    NEXUS_TEST_ADDON: standsFor,
  };
  /** @type {Record<string, string | undefined>} */ (env)['NODE_TEST_CONTEXT'] = undefined;
  const child = spawn(process.execPath, [...require, __filename], {
    env,
    timeout: 30_000,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  /** @type {any} */
  let seen;
  let log = '';
  child.on('message', (message) => (seen = message));
  child.stdout?.setEncoding('utf8').on('data', (text) => (log += text));
  const [status] = await once(child, 'close');
  api.server.close();
  assert.equal(status, 0);
  return { ...seen, log: log.replace(/\[\d{13}\]/g, '[time]'), asked: api.asked };
}

/**
 * Makes calls by what stands for the addon, and by the addon if there is one.
 * @param {Call[]} calls
 * @param {Reply[]} script
 * @param {boolean} [byAddon] whether the addon has to be loaded for it
 */
async function both(calls, script, byAddon = false) {
  const { ours, addon, ...seen } = await run(true, calls, script);
  assert.deepEqual({ ours, addon }, { ours: true, addon: byAddon });
  if (ADDON !== undefined) {
    const { ours: _ours, addon: _addon, ...real } = await run(false, calls, script);
    // It has connections for each of its threads.
    const asked = (/** @type {Asked[]} */ list) => list.map(({ lines, body }) => ({ lines, body }));
    assert.deepEqual({ ...seen, asked: asked(seen.asked) }, { ...real, asked: asked(real.asked) });
  }
  return seen;
}

/**
 * What `next` gives for an event.
 * @param {string} body
 * @param {object} [headers] besides those of every event
 */
function gave(body, headers = {}) {
  return { bodyJson: shown(body), headers: { ...SAID, ...headers } };
}

/** Has every other call of the system for a socket be one that a signal interrupts. */
function interrupt() {
  for (const name of /** @type {const} */ (['readSync', 'writevSync'])) {
    const call = /** @type {(...args: unknown[]) => any} */ (fs[name]);
    let isInterrupted = false;
    fs[name] = (/** @type {[fd: number, ...unknown[]]} */ ...args) => {
      isInterrupted = !isInterrupted && fs.fstatSync(args[0]).isSocket();
      if (isInterrupted) {
        throw Object.assign(new Error('EINTR: interrupted system call'), { code: 'EINTR' });
      }
      return call(...args);
    };
  }
}

/** Makes the calls that the environment names. */
async function makeCalls() {
  /** @type {[string, ...any[]][]} */
  let calls = JSON.parse(process.env['NEXUS_TEST_CALLS'] ?? '');
  if (calls.some(([name]) => name === 'interrupted')) {
    interrupt();
    calls = calls.filter(([name]) => name !== 'interrupted');
  }
  const client = require(standsFor);
  const results = [];
  for (const [name, ...args] of calls) {
    if (name === 'pause') {
      await sleep(args[0]);
      continue;
    }
    const values = args.map((/** @type {any} */ value) =>
      value?.length === undefined || value.at ? value : 'x'.repeat(value.length),
    );
    let ticks = 0;
    const ticking = setInterval(() => (ticks += 1), 10);
    try {
      const result = client[name](...values);
      const value = result instanceof Promise ? await result : result;
      results.push(value === null ? null : { ...value, bodyJson: shown(value.bodyJson) });
    } catch (error) {
      results.push({ error: String(error) });
    }
    clearInterval(ticking);
    if (name === 'next' && values[0] === 'ticks') {
      results.push({ isTicking: ticks > 3 });
    }
  }
  const ours = !Function.prototype.toString.call(client.next).includes('[native code]');
  const addon = fs.readFileSync('/proc/self/maps', 'latin1').includes('rapid-client.node');
  process.send?.({ gave: results, ours, addon });
  process.disconnect();
}

if (process.env['NEXUS_TEST_CALLS'] === undefined) {
  declareTests();
} else {
  makeCalls();
}

function declareTests() {
  // It says something as soon as it is loaded.
  const { after, test } = require('node:test');

  if (ADDON === undefined) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runtime-client-'));
    after(() => fs.rmSync(folder, { recursive: true }));
    standsFor = path.join(folder, 'rapid-client.node');
    const names = [...Object.keys(SAID), 'lambda-runtime-client-context', 'lambda-runtime-cognito-identity'];
    fs.writeFileSync(standsFor, [...names, 'lambda-runtime-aws-tenant-id', 'Http response code: %ld. %s'].join('\0'));
  }

  test('events of all sizes come over one connection', async () => {
    const bodies = [0, 1, 1024, 65_000, 65_536, 65_537, 200_000, 6 * MIB].map((size) => 'x'.repeat(size));
    bodies.push('{"ä": "€ 😀"}');
    const seen = await both(
      bodies.map(() => NEXT),
      bodies.map((body) => [event(body)]),
    );
    assert.deepEqual(
      seen.gave,
      bodies.map((body) => gave(body)),
    );
    assert.ok(seen.asked.every(({ connection }) => connection === 0));
    const odd = await both([NEXT, NEXT], [[event('a\0b')], [event(Buffer.from([0xff, 0x61]))]]);
    assert.deepEqual(odd.gave, [gave('a'), gave('\ufffda')]);
  });

  test('what is said of events', async () => {
    /** @type {[Record<string, string | undefined>, object][]} */
    const said = [
      [{ 'Lambda-Runtime-Trace-Id': 'Root=1' }, { 'lambda-runtime-trace-id': 'Root=1' }],
      [{ 'Lambda-Runtime-Client-Context': '{"ä": 1}' }, { 'lambda-runtime-client-context': '{"ä": 1}' }],
      [{ 'lambda-runtime-cognito-identity': ' {} ' }, { 'lambda-runtime-cognito-identity': '{}' }],
      [{ 'LAMBDA-RUNTIME-AWS-TENANT-ID': 'a:b' }, { 'lambda-runtime-aws-tenant-id': 'a:b' }],
      [{ 'Lambda-Runtime-Client-Context': '', 'Lambda-Runtime-Invocation-Id': 'unknown' }, {}],
      [{ 'Lambda-Runtime-Deadline-Ms': undefined }, { 'lambda-runtime-deadline-ms': 0 }],
      [{ 'Lambda-Runtime-Deadline-Ms': '12abc' }, { 'lambda-runtime-deadline-ms': 12 }],
      [{ 'Lambda-Runtime-Invoked-Function-Arn': undefined }, { 'lambda-runtime-invoked-function-arn': '' }],
      [{ 'Lambda-Runtime-Trace-Id': 'one', 'lambda-runtime-trace-id': 'two' }, { 'lambda-runtime-trace-id': 'one' }],
      [{ 'Lambda-Runtime-Aws-Request-Id': '' }, { 'lambda-runtime-aws-request-id': '' }],
    ];
    const seen = await both(
      said.map(() => NEXT),
      said.map(([fields]) => [event('{}', fields)]),
    );
    assert.deepEqual(
      seen.gave,
      said.map(([, headers]) => gave('{}', headers)),
    );
  });

  test('an event may come in pieces', async () => {
    const whole = event('x'.repeat(100_000), { 'Lambda-Runtime-Trace-Id': 't'.repeat(300) });
    const ends = [1, 30, 200, 500, 700, 5000, 70_000, whole.length];
    const pieces = ends.flatMap((end, index) => [whole.subarray(ends[index - 1] ?? 0, end), 30]);
    const late = [Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'), 30, event('after')];
    const seen = await both([NEXT, NEXT], [pieces, late]);
    assert.deepEqual(seen.gave, [gave('x'.repeat(100_000), { 'lambda-runtime-trace-id': 't'.repeat(300) }), gave('after')]);
  });

  test('timers run while the runtime waits, and nothing keeps the process after', async () => {
    const seen = await both([['next', 'ticks']], [[200, event()]]);
    assert.deepEqual(seen.gave, [gave('{}'), { isTicking: true }]);
  });

  test('answers that are no event', async () => {
    const refused = '{"errorMessage": "no"}\n';
    const statuses = [403, 500, 413, 301];
    const calls = [...statuses.map(() => NEXT), NEXT, NEXT];
    const seen = await both(calls, [...statuses.map((status) => [answer(status, refused)]), [answer(200, '{}')], [event()]]);
    const errors = statuses.map((status) => ({ error: `Error: Failed to get next invocation, error ${status}` }));
    assert.deepEqual(seen.gave, [...errors, NO_EVENT, gave('{}')]);
    const logged = statuses.map((status) => `Failed to get next invocation. Http Response code: ${status}`);
    logged.push('Failed to find header lambda-runtime-aws-request-id in response');
    assert.equal(seen.log, logged.map((line) => `[ERROR] [time] LAMBDA_RUNTIME ${line}\n`).join(''));
  });

  test('connections that end before there is an event', async () => {
    const first = await both([NEXT, NEXT], [[null], [event()]]);
    assert.deepEqual([first.gave, first.log], [[NO_EVENT, gave('{}')], NO_RESPONSE]);
    const nobody = await both([NEXT], []);
    assert.deepEqual([nobody.gave, nobody.log], [[NO_EVENT], NO_RESPONSE]);
    for (const broken of [
      event('x'.repeat(100)).subarray(0, -1),
      event().subarray(0, 20),
      event('x'.repeat(200_000)).subarray(0, -1),
    ]) {
      const seen = await both([NEXT, NEXT], [[broken, 20, null], [event()]]);
      assert.deepEqual(seen.gave, [NO_EVENT, gave('{}')]);
    }
  });

  test('a connection that had been waiting may have ended', async () => {
    for (const ends of [
      [event(), null],
      [event('{}', { Connection: 'close' }), null],
    ]) {
      const seen = await both([NEXT, ['pause', 50], NEXT], [ends, [event('2')]]);
      assert.deepEqual(seen.gave, [gave('{}'), gave('2')]);
    }
    // The addon's threads have used none yet.
    const { gave: events } = await run(true, [NEXT, NEXT], [[event()], [50, null], [event('2')]]);
    assert.deepEqual(events, [gave('{}'), gave('2')]);
  });

  test('results and errors of all sizes', async () => {
    /** @type {Call[]} */
    const posts = [
      ...[0, 1, 1024, 65_536, 200_000, 6 * MIB].map((length) => /** @type {Call} */ (['done', ID, { length }])),
      ['done', ID, '{"ä": "€ 😀 \ud800"}'],
      ['error', ID, '{"errorMessage": "m"}', ''],
      ['error', ID, '{}', '{"ä": "b c"}'],
      ['error', ID, '', { length: 60_000 }],
    ];
    const seen = await both([NEXT, ...posts, NEXT], [[event()], ...posts.map(() => [OK]), [event('2')]]);
    assert.deepEqual(seen.gave, [gave('{}'), ...posts.map(() => null), gave('2')]);
    assert.ok(seen.asked.every(({ connection }) => connection === 0));
    assert.equal(seen.asked[7]?.body, Buffer.from('{"ä": "€ 😀 \ufffd"}').toString('latin1'));
    assert.deepEqual(seen.asked[9]?.lines, [
      `POST /2018-06-01/runtime/invocation/${ID}/error HTTP/1.1`,
      'content-length: 2',
      'content-type: application/json',
      'lambda-runtime-function-xray-error-cause: {"ä": "b c"}',
    ]);
    assert.equal(seen.log, '');
  });

  test('signals that come while a result is sent', async () => {
    /** @type {Call[]} */
    const calls = [['interrupted'], NEXT, ['done', ID, '1'], ['error', ID, '{}', ''], ['done', ID, { length: 6 * MIB }], NEXT];
    const seen = await both(calls, [[event()], [OK], [OK.subarray(0, 9), 20, OK.subarray(9)], [OK], [event('2')]]);
    assert.deepEqual(seen.gave, [gave('{}'), null, null, null, gave('2')]);
    assert.equal(seen.log, '');
    assert.ok(seen.asked.every(({ connection }) => connection === 0));
  });

  test('an answer that comes before a result was read', async () => {
    /** @type {Call[]} */
    const calls = [NEXT, ['done', ID, { length: 64 * MIB }], NEXT];
    const seen = await both(calls, [[event()], ['early', answer(413, 'too large\n'), null], [event('2')]]);
    assert.deepEqual(seen.gave, [gave('{}'), null, gave('2')]);
    assert.match(seen.log, /Http response code: 413\. too large\n/);
  });

  test('a result that is refused', async () => {
    /** @type {Call[]} */
    const calls = [NEXT, ['done', ID, '1'], ['error', ID, '{}', ''], NEXT];
    const seen = await both(calls, [[event()], [answer(413, 'too large\n')], [answer(403, 'no')], [event()]]);
    assert.deepEqual(seen.gave, [gave('{}'), null, null, gave('{}')]);
    const said = ['413. too large\n', '403. no'];
    const line = '[ERROR] [time] LAMBDA_RUNTIME Failed to post handler success response. Http response code: ';
    assert.equal(seen.log, said.map((text) => `${line}${text}\n`).join(''));
  });

  test('wrong arguments', async () => {
    /** @type {Call[]} */
    const calls = [['done'], ['done', ID], ['done', ID, 1], ['error', ID, '{}'], ['error', ID, '{}', 1]];
    const seen = await both(calls, [[null]]);
    const wrong = 'TypeError: Wrong arguments';
    const few = (/** @type {number} */ count) => `TypeError: Wrong number of arguments, expected ${count}`;
    assert.deepEqual(
      seen.gave.map(({ error }) => error),
      [few(2), few(2), wrong, few(3), wrong],
    );
    assert.deepEqual(seen.asked, []);
  });

  test('what it does not cover the addon does', { skip: ADDON === undefined }, async () => {
    const chunks = '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n';
    const chunked = event(chunks, { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' });
    /** @type {Call[]} */
    const three = [NEXT, ['done', ID, '1'], NEXT];
    const twice = await run(true, three, [[chunked], [chunked], [OK], [event('2')]]);
    assert.deepEqual([twice.gave, twice.addon], [[gave('abcde'), null, gave('2')], true]);
    /** @type {Call[]} */
    const odd = [
      ['done', 'a/b?c', '1'],
      ['error', ID, '{}', 'a\nb'],
      ['error', ID, '{}', ' a '],
    ];
    for (const call of odd) {
      await both([NEXT, call, NEXT], [[event()], [OK], [event('2')]], true);
    }
    // A result for which there is no connection.
    await both([['done', ID, '1'], NEXT], [[OK], [event()]], true);
    await both([NEXT, ['pause', 50], ['done', ID, { length: MIB }], NEXT], [[event(), null], [OK], [event()]], true);
  });
}
