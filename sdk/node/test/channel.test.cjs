// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { after, before, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

const bodies = require('../lib/body.js');
const channel = require('../lib/channel.js');
const { Crc32 } = require('../lib/crc32.js');

/** @typedef {(socket: net.Socket, head: string, body: Buffer) => void} Respond */

const { connect } = net;
/** @type {Set<net.Socket>} */
const sockets = new Set();
let connections = 0;
/** @type {Respond} */
let respond;
const gateway = net.createServer((socket) => {
  connections += 1;
  sockets.add(socket);
  let data = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
  socket.on('data', (piece) => {
    data = Buffer.concat([data, piece]);
    while (data.length >= 16 && data.length >= 16 + data.readUInt32LE(0) + data.readUInt32LE(8)) {
      const [head, end] = [16 + data.readUInt32LE(0), 16 + data.readUInt32LE(0) + data.readUInt32LE(8)];
      respond(socket, data.toString('latin1', 16, head), data.subarray(head, end));
      data = data.subarray(end);
    }
  });
});

before(async () => {
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  // The gateway's address is one that only a VM has.
  net.connect = /** @type {any} */ (
    (/** @type {net.TcpNetConnectOpts} */ options) =>
      connect({ ...options, host: '127.0.0.1', port: /** @type {net.AddressInfo} */ (gateway.address()).port })
  );
});

after(() => {
  net.connect = connect;
  sockets.forEach((socket) => socket.destroy());
  gateway.close();
});

/**
 * An answer as it is sent.
 * @param {Record<string, string>} headers
 * @param {Buffer | Buffer[]} body or chunks of one
 * @param {number} [length] that is claimed
 */
function answer(headers, body, length) {
  const head = [...Object.keys(headers), '', ...Object.values(headers)].map((text) => `${text}\0`).join('');
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(head.length, 0);
  fixed.writeUInt16LE(200, 4);
  if (Array.isArray(body)) {
    fixed.fill(0xff, 8);
    const chunks = [...body, Buffer.alloc(0)].flatMap((chunk) => [Buffer.from(Uint32Array.of(chunk.length).buffer), chunk]);
    return Buffer.concat([fixed, Buffer.from(head, 'latin1'), ...chunks]);
  }
  fixed.writeUInt32LE(length ?? body.length, 8);
  return Buffer.concat([fixed, Buffer.from(head, 'latin1'), body]);
}

test('an answer has status, headers and body', async () => {
  respond = (socket, head, body) => socket.write(answer({ etag: '"x"', empty: '' }, Buffer.concat([Buffer.from(head), body])));
  const got = await channel.request('s3\0', Buffer.from('content'));
  assert.equal(got.status, 200);
  assert.deepEqual(got.headers(), { etag: '"x"', empty: '' });
  assert.equal((await got.whole()).toString(), 's3\0content');
  respond = (socket) => socket.write(answer({}, Buffer.alloc(0)));
  assert.deepEqual((await channel.request('s3\0', undefined)).headers(), {});
});

test('a header that comes more than once is one, as Node has it', async () => {
  const head = 'server\0x-a\0server\0x-a\0x-a\0\0one\0b\0two\0c\0d\0';
  respond = (socket) => {
    const fixed = Buffer.alloc(16);
    fixed.writeUInt32LE(head.length, 0);
    fixed.writeUInt16LE(200, 4);
    socket.write(Buffer.concat([fixed, Buffer.from(head, 'latin1')]));
  };
  assert.deepEqual((await channel.request('x\0', undefined)).headers(), { server: 'one', 'x-a': 'b, c, d' });
});

test('an answer may come in pieces of any size, with its length or in chunks', async () => {
  for (const body of [Buffer.from('one and another'), [Buffer.from('one and '), Buffer.from('another')]]) {
    for (const size of [1, 3, 17]) {
      respond = async (socket) => {
        const data = answer({ a: 'b' }, body);
        for (let at = 0; at < data.length; at += size) {
          socket.write(data.subarray(at, at + size));
          await sleep(0);
        }
      };
      assert.equal((await (await channel.request('x\0', undefined)).whole()).toString(), 'one and another');
    }
  }
});

test('large bodies go both ways', async () => {
  respond = (socket, _, body) => socket.write(answer({}, body));
  for (const size of [16_384, 16_385, 65_536, 1_000_000]) {
    const body = Buffer.alloc(size, `${size} `);
    assert.ok((await (await channel.request('x\0', body)).whole()).equals(body));
  }
});

test('calls one after the other share a connection, and a broken one is made anew', async () => {
  respond = (socket) => socket.write(answer({}, Buffer.alloc(0)));
  await channel.request('x\0', undefined);
  const made = connections;
  await channel.request('x\0', undefined);
  assert.equal(connections, made);
  respond = (socket) => {
    respond = (other) => other.write(answer({}, Buffer.from('again')));
    socket.destroy();
  };
  assert.equal((await (await channel.request('x\0', undefined)).whole()).toString(), 'again');
});

test('many calls are made at once, and no more than the SDK makes', async () => {
  /** @type {[net.Socket, string][]} */
  let waiting = [];
  let [seen, most] = [0, 0];
  respond = async (socket, head) => {
    waiting.push([socket, head]);
    seen += 1;
    most = Math.max(most, waiting.length);
    if (waiting.length < 50 && seen < 120) {
      return;
    }
    // Whatever is too much has time to come.
    await sleep(20);
    const answered = waiting;
    waiting = [];
    answered.forEach(([other, asked]) => other.write(answer({}, Buffer.from(asked))));
  };
  const all = await Promise.all(
    Array.from({ length: 120 }, async (_, number) =>
      (await (await channel.request(`s3\0${number}\0`, undefined)).whole()).toString(),
    ),
  );
  assert.deepEqual(
    all,
    Array.from({ length: 120 }, (_, number) => `s3\0${number}\0`),
  );
  // Each is answered only when as many wait as may, or when no more can come.
  assert.equal(most, 50);
});

test('calls of one service do not wait for those of another', async () => {
  /** @type {(() => void)[]} */
  const held = [];
  respond = (socket, head) => {
    if (head.startsWith('sqs')) {
      held.push(() => socket.write(answer({}, Buffer.alloc(0))));
    } else {
      socket.write(answer({}, Buffer.from('here')));
    }
  };
  const polls = Array.from({ length: 60 }, () => channel.request('sqs\0', undefined));
  assert.equal((await (await channel.request('dynamodb\0', undefined)).whole()).toString(), 'here');
  respond = (socket) => socket.write(answer({}, Buffer.alloc(0)));
  held.forEach((release) => release());
  await Promise.all(polls);
});

test('a gateway that goes away is reported', async () => {
  sockets.forEach((socket) => socket.destroy());
  await sleep(10);
  respond = (socket) => socket.destroy();
  await assert.rejects(channel.request('x\0', undefined), channel.Broken);
  respond = (socket) => {
    socket.write(answer({}, Buffer.from('half'), 8));
    setTimeout(() => socket.destroy(), 5);
  };
  const half = await channel.request('x\0', undefined);
  await assert.rejects(half.whole(), channel.Broken);
});

test('a body is read as a stream or past it', async () => {
  const content = Buffer.alloc(300_000, 'content ');
  respond = (socket) => socket.write(answer({}, content));
  const get = async () => bodies.make(await channel.request('x\0', undefined), undefined);
  assert.ok(Buffer.from(await (await get()).transformToByteArray()).equals(content));
  assert.equal(await (await get()).transformToString(), content.toString());
  const pieces = [];
  for await (const piece of await get()) {
    pieces.push(piece);
  }
  assert.ok(Buffer.concat(pieces).equals(content));
  const body = await get();
  await body.transformToString();
  assert.deepEqual([body.readableEnded, body.destroyed, body.readableAborted], [true, true, false]);
  await assert.rejects(body.transformToString(), /already been transformed/);
});

test('a body that is not what its checksum says is an error, and so is one that breaks off', async () => {
  respond = (socket) => socket.write(answer({}, Buffer.from('hello')));
  const get = async (/** @type {string} */ expected) =>
    bodies.make(await channel.request('x\0', undefined), { checksum: new Crc32(), expected, header: 'x-amz-checksum-crc32' });
  assert.equal(await (await get('NhCmhg==')).transformToString(), 'hello');
  const message = /Checksum mismatch: expected "AAAAAA==" but received "NhCmhg=="/;
  await assert.rejects((await get('AAAAAA==')).transformToString(), message);
  await assert.rejects(async () => {
    for await (const piece of await get('AAAAAA==')) {
      assert.equal(piece.toString(), 'hello');
    }
  }, message);
  respond = (socket) => {
    socket.write(answer({}, Buffer.from('half'), 8));
    setTimeout(() => socket.destroy(), 5);
  };
  await assert.rejects((await get('NhCmhg==')).transformToString(), /Connection lost/);
});

test('a body that is given up frees what was held for it', async () => {
  const made = connections;
  respond = (socket) => socket.write(answer({}, Buffer.alloc(10_000_000)));
  const body = bodies.make(await channel.request('x\0', undefined), undefined);
  body.destroy();
  respond = (socket) => socket.write(answer({}, Buffer.from('next')));
  assert.equal((await (await channel.request('x\0', undefined)).whole()).toString(), 'next');
  assert.ok(connections > made);
});
