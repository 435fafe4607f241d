// SPDX-License-Identifier: Apache-2.0
'use strict';

/** A gateway beside a test, which says what it is told to, and keeps what it was asked. */

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const { Package } = require('../lib/facade.js');

/**
 * @typedef {object} Call
 * @property {string[]} strings of the call's head, and its body
 * @property {string} operation
 * @property {string} target
 * @property {Record<string, string>} headers
 * @property {string} body
 */

/** @typedef {{ status?: number, headers?: Record<string, string>, body?: string, isCut?: boolean } | 'gone'} Reply */

const { connect } = net;

/** A package with a real client that tells what it is made of and what it is given. */
const REAL = `
class Client {
    constructor(config) { this.config = config; this.middlewareStack = { applyToStack() {} }; }
    send(command) { return Promise.resolve([this.config, command.input]); }
    destroy() { this.config.isDestroyed = true; }
}
class Command {
    constructor(input) { this.input = input; }
}
exports.S3Client = class S3Client extends Client {};
exports.SQSClient = class SQSClient extends Client {};
exports.PutObjectCommand = class PutObjectCommand extends Command {};
exports.ListBucketsCommand = class ListBucketsCommand extends Command {};
exports.PurgeQueueCommand = class PurgeQueueCommand extends Command {};
`;

class Gateway {
  /** @type {Call[]} */
  asked = [];
  /** What it says to a call. @type {(call: Call) => Reply | Promise<Reply>} */
  answer = () => ({});
  /** A folder of the test's own, and its home. */
  folder = '';
  #env = { ...process.env };
  /** @type {Set<net.Socket>} */
  #sockets = new Set();
  #server = net.createServer((socket) => this.#serve(socket));

  /** Has this process take it for the gateway of a VM. */
  async start() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gateway-'));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const { port } = /** @type {net.AddressInfo} */ (this.#server.address());
    // The gateway's address is one that only a VM has.
    net.connect = /** @type {any} */ (
      (/** @type {net.TcpNetConnectOpts} */ options) => connect({ ...options, host: '127.0.0.1', port })
    );
    Object.keys(process.env)
      .filter((name) => name.startsWith('AWS_'))
      .forEach((name) => delete process.env[name]);
    Object.assign(process.env, {
      HOME: this.folder,
      AWS_ENDPOINT_URL: 'http://169.254.170.2',
      AWS_ACCESS_KEY_ID: 'placeholder',
      AWS_SECRET_ACCESS_KEY: 'placeholder',
    });
  }

  /**
   * A package whose text is no more than a test needs.
   * @param {string} name
   * @param {any} service
   * @param {string} [text]
   */
  install(name, service, text = '') {
    const filename = path.join(this.folder, `${name}.js`);
    fs.writeFileSync(filename, text);
    return new Package(filename, 1100, service);
  }

  stop() {
    net.connect = connect;
    process.env = this.#env;
    this.#sockets.forEach((socket) => socket.destroy());
    this.#server.close();
    fs.rmSync(this.folder, { recursive: true });
  }

  /** @param {net.Socket} socket */
  #serve(socket) {
    this.#sockets.add(socket);
    let data = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', async (piece) => {
      data = Buffer.concat([data, piece]);
      if (data.length < 16 || data.length < 16 + data.readUInt32LE(0) + data.readUInt32LE(8)) {
        return;
      }
      const call = read(data);
      data = Buffer.alloc(0);
      this.asked.push(call);
      const reply = await this.answer(call);
      if (reply === 'gone') {
        socket.destroy();
        return;
      }
      socket.write(written(reply));
      if (reply.isCut) {
        socket.end();
      }
    });
  }
}

/**
 * @param {Buffer} data
 * @returns {Call}
 */
function read(data) {
  const end = 16 + data.readUInt32LE(0);
  const head = data.toString('latin1', 16, end).split('\0').slice(0, -1);
  const [, , operation = '', , target = '', ...fields] = head;
  const headers = Object.fromEntries(fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1] ?? '']] : [])));
  const body = data.toString('utf8', end);
  return { strings: [...head, body], operation, target, headers, body };
}

/** @param {Exclude<Reply, 'gone'>} reply */
function written({ status = 200, headers = {}, body = '', isCut }) {
  const strings = [...Object.keys(headers), '', ...Object.values(headers)];
  const head = strings.map((text) => `${text}\0`).join('');
  const message = Buffer.alloc(16);
  message.writeUInt32LE(head.length, 0);
  message.writeUInt16LE(status, 4);
  message.writeUInt32LE(Buffer.byteLength(body) + (isCut ? 1 : 0), 8);
  return Buffer.concat([message, Buffer.from(head + body)]);
}

module.exports = { Gateway, REAL };
