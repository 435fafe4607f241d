// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Connections to the gateway, one call after the other on each (`docs/sdk.md`).
 *
 * A call that finds no connection free makes another. Those that nobody uses do not keep the process alive. Each process and each
 * worker thread has its own; in a VM that was restored, those from before are broken, and made anew.
 */

const { Answer, AsyncResource, Broken } = require('./answer.js');

const ADDRESS = { host: '169.254.170.2', port: 9002 };
/** Size of the fixed part of a message, in bytes. */
const FIXED = 16;
/** Both halves of the length of a body that comes in chunks. */
const IN_CHUNKS = 0xffff_ffff;
/** Most that is received at once, in bytes. */
const PIECE = 64 * 1024;
/** Bodies up to this length go out in one piece with their head, in bytes. */
const JOINED = 16 * 1024;
/** Connections that are kept while nobody uses them. */
const KEPT = 16;
/** Calls of a service that wait for an answer at once: as many as a client of the SDK makes. */
const AT_ONCE = 50;

/**
 * The calls of one service, which must not wait for those of another: some are answered only after minutes.
 * @typedef {object} Line
 * @property {Call[]} waiting
 * @property {number} underway
 */

/**
 * @typedef {object} Call
 * @property {Line} line
 * @property {Buffer} message
 * @property {Uint8Array | undefined} body what follows the message
 * @property {AsyncResource} caller
 * @property {(answer: InstanceType<typeof Answer>) => void} resolve
 * @property {(error: Error) => void} reject
 */

/** @type {Connection[]} */
const free = [];
/** @type {Map<string, Line>} */
const lines = new Map();
/** What most is received into, by all connections: it is copied before the next piece comes. */
const shared = Buffer.allocUnsafeSlow(PIECE);

class Connection {
  #socket;
  /** Whether it has carried a call before: then it may have ended meanwhile. */
  #isUsed = false;
  /** @type {Call | undefined} */
  #call;
  /** @type {InstanceType<typeof Answer> | undefined} */
  #answer;
  /** @type {Buffer | undefined} the beginning of something that has not come whole */
  #begun;
  /** What is left of the body, or of a chunk of it, in bytes. */
  #left = 0;
  #isChunked = false;
  /** What the next piece is received into. */
  #room = shared;

  constructor() {
    const onread = { buffer: () => this.#room, callback: (/** @type {number} */ count) => this.#receive(count) };
    this.#socket = require('node:net').connect({ ...ADDRESS, noDelay: true, onread });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#fail());
  }

  /**
   * Makes a call.
   * @param {Call} call
   */
  begin(call) {
    this.#call = call;
    const socket = this.#socket;
    if (this.#isUsed) {
      socket.ref();
    }
    if (call.body === undefined) {
      socket.write(call.message);
      return;
    }
    socket.cork();
    socket.write(call.message);
    socket.write(call.body);
    socket.uncork();
  }

  resume() {
    this.#socket.resume();
  }

  close() {
    this.#socket.destroy();
  }

  /**
   * Takes in what was received. Says whether more is to be received at once.
   * @param {number} count bytes of it
   */
  #receive(count) {
    const piece = this.#room.subarray(0, count);
    if (this.#answer) {
      return this.#takeBody(this.#isChunked ? this.#joined(piece) : piece);
    }
    return this.#takeHead(this.#joined(piece));
  }

  /**
   * @param {Buffer} piece
   */
  #joined(piece) {
    const begun = this.#begun;
    this.#begun = undefined;
    return begun === undefined ? piece : Buffer.concat([begun, piece]);
  }

  /**
   * @param {Buffer} data
   */
  #takeHead(data) {
    const made = this.#call;
    if (made === undefined) {
      // Nobody has asked.
      this.close();
      return false;
    }
    const end = data.length < FIXED ? FIXED : FIXED + data.readUInt32LE(0);
    if (data.length < end) {
      this.#begun = Buffer.from(data);
      return true;
    }
    const [low, high] = [data.readUInt32LE(8), data.readUInt32LE(12)];
    this.#isChunked = high === IN_CHUNKS && low === IN_CHUNKS;
    this.#left = this.#isChunked ? 0 : high * 2 ** 32 + low;
    const length = this.#isChunked ? undefined : this.#left;
    const answer = new Answer(data.readUInt16LE(4), data.toString('latin1', FIXED, end), length, this, made.caller);
    this.#answer = answer;
    this.#call = undefined;
    const more = this.#takeBody(data.subarray(end));
    answered(made.line);
    made.resolve(answer);
    return more;
  }

  /**
   * @param {Buffer} data
   * @returns {boolean}
   */
  #takeBody(data) {
    const more = this.#isChunked ? this.#takeChunks(data) : this.#takePart(data);
    if (this.#left < PIECE || this.#isChunked) {
      this.#room = shared;
    } else if (this.#room === shared) {
      this.#room = Buffer.allocUnsafeSlow(PIECE);
    }
    return more;
  }

  /**
   * @param {Buffer} data
   */
  #takePart(data) {
    const answer = /** @type {InstanceType<typeof Answer>} */ (this.#answer);
    if (data.length > this.#left) {
      this.close();
      return false;
    }
    this.#left -= data.length;
    if (this.#left > 0) {
      return data.length === 0 || answer.push(this.#own(data));
    }
    this.#release();
    if (data.length > 0) {
      answer.push(this.#own(data));
    }
    answer.finish();
    return true;
  }

  /**
   * Takes in as many chunks as are there.
   * @param {Buffer} data
   */
  #takeChunks(data) {
    const answer = /** @type {InstanceType<typeof Answer>} */ (this.#answer);
    let more = true;
    let at = 0;
    while (at < data.length) {
      if (this.#left === 0) {
        if (data.length - at < 4) {
          this.#begun = Buffer.from(data.subarray(at));
          return more;
        }
        this.#left = data.readUInt32LE(at);
        at += 4;
        if (this.#left === 0) {
          this.#release();
          answer.finish();
          return true;
        }
      }
      const piece = data.subarray(at, at + this.#left);
      at += piece.length;
      this.#left -= piece.length;
      if (piece.length > 0) {
        more = answer.push(Buffer.from(piece));
      }
    }
    return more;
  }

  /**
   * What may be kept of a piece: itself, if it fills most of what it was received into, or else a copy.
   * @param {Buffer} piece
   */
  #own(piece) {
    if (this.#room === shared || piece.length * 2 < PIECE) {
      return Buffer.from(piece);
    }
    this.#room = Buffer.allocUnsafeSlow(PIECE);
    return piece;
  }

  /** The answer is there: the next call may come. */
  #release() {
    this.#answer = undefined;
    this.#isUsed = true;
    this.#left = 0;
    if (free.length < KEPT) {
      this.#socket.unref();
      free.push(this);
    } else {
      this.close();
    }
  }

  /** The connection is gone. */
  #fail() {
    const [call, answer] = [this.#call, this.#answer];
    this.#call = this.#answer = undefined;
    const at = free.indexOf(this);
    if (at >= 0) {
      free.splice(at, 1);
    }
    answer?.finish(new Broken('The gateway went away.'));
    if (call === undefined) {
      return;
    }
    if (this.#isUsed) {
      start(call);
      return;
    }
    answered(call.line);
    call.reject(new Broken('There is no gateway.'));
  }
}

/**
 * Makes a call. Rejects with `Broken` if there is no gateway, or if it goes away before it answers.
 * @param {string} head names and values, each ended by a zero
 * @param {Uint8Array | undefined} body
 * @returns {Promise<InstanceType<typeof Answer>>}
 */
function request(head, body) {
  const length = body?.length ?? 0;
  const isJoined = length > 0 && length <= JOINED;
  const message = Buffer.allocUnsafe(FIXED + head.length + (isJoined ? length : 0));
  message.writeUInt32LE(head.length, 0);
  message.writeUInt32LE(0, 4);
  message.writeUInt32LE(length % 2 ** 32, 8);
  message.writeUInt32LE(Math.floor(length / 2 ** 32), 12);
  message.write(head, FIXED, 'latin1');
  if (isJoined) {
    message.set(/** @type {Uint8Array} */ (body), FIXED + head.length);
  }
  const line = lineOf(head.slice(0, head.indexOf('\0')));
  return new Promise((resolve, reject) => {
    const made = {
      line,
      message,
      body: isJoined || length === 0 ? undefined : body,
      caller: new AsyncResource('NEXUSCALL'),
      resolve,
      reject,
    };
    if (line.underway < AT_ONCE) {
      line.underway += 1;
      start(made);
    } else {
      line.waiting.push(made);
    }
  });
}

/**
 * @param {Call} made
 */
function start(made) {
  (free.pop() ?? new Connection()).begin(made);
}

/**
 * A call has its answer, or will have none: the next one may start.
 * @param {Line} line
 */
function answered(line) {
  const next = line.waiting.shift();
  if (next) {
    start(next);
  } else {
    line.underway -= 1;
  }
}

/**
 * @param {string} service
 * @returns {Line}
 */
function lineOf(service) {
  let line = lines.get(service);
  if (line === undefined) {
    line = { waiting: [], underway: 0 };
    lines.set(service, line);
  }
  return line;
}

module.exports = { Broken, request };
