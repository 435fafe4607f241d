// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * A connection to the runtime API: requests one after the other, whose answers come by the event loop or while it waits.
 */

const { readSync, writevSync } = require('node:fs');

/** Most that is received at once before it is known how much comes, in bytes. */
const PIECE = 64 * 1024;
/** How long connecting may take, as curl is told, in milliseconds. */
const CONNECT_TIMEOUT = 1000;
const END = '\r\n\r\n';
/** What an addon takes for a space. */
const SPACE = /^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g;

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {Map<string, string>} head by names in lower case
 * @property {Buffer | undefined} body undefined if its length was not given
 */

/** The beginning of a message that comes piece by piece. */
class Incoming {
  /** @type {Buffer} what the next piece is received into */
  room = Buffer.allocUnsafeSlow(PIECE);
  /** @type {Buffer} */
  #head = this.room;
  /** Bytes of the head, or of the body once that has a room of its own. */
  #filled = 0;
  /** @type {Answer | undefined} */
  #answer;

  /** Whether something has come. */
  hasBegun = false;
  /** Whether more came than was asked for. */
  isTooMuch = false;

  /**
   * Takes in what was received into the room, and returns the answer if it is whole.
   * @param {number} count bytes of it
   * @returns {Answer | undefined}
   */
  take(count) {
    this.hasBegun = true;
    this.#filled += count;
    if (this.#answer === undefined) {
      return this.#takeHead();
    }
    const { body } = this.#answer;
    if (body !== undefined && this.#filled < body.length) {
      this.room = body.subarray(this.#filled);
      return undefined;
    }
    return this.#end(this.#answer);
  }

  /** @returns {Answer | undefined} */
  #takeHead() {
    const came = this.#head.subarray(0, this.#filled);
    const end = came.indexOf(END);
    if (end < 0) {
      if (this.#filled === this.#head.length) {
        this.#head = Buffer.concat([this.#head], this.#head.length * 2);
      }
      this.room = this.#head.subarray(this.#filled);
      return undefined;
    }
    const { status, head } = parse(came.toString('utf8', 0, end));
    const rest = came.subarray(end + END.length);
    if (status < 200) {
      // Not the answer yet.
      this.#filled = rest.copy(this.#head);
      this.room = this.#head.subarray(this.#filled);
      return this.#filled > 0 ? this.#takeHead() : undefined;
    }
    const length = /^\d+$/.test(head.get('content-length') ?? '') ? Number(head.get('content-length')) : undefined;
    if (length === undefined) {
      return this.#end({ status, head, body: undefined });
    }
    this.isTooMuch = rest.length > length;
    const body = Buffer.allocUnsafeSlow(length);
    this.#filled = rest.copy(body);
    this.#answer = { status, head, body };
    return this.take(0);
  }

  /**
   * The next message may come.
   * @param {Answer} answer
   */
  #end(answer) {
    this.room = this.#head;
    this.#filled = 0;
    this.#answer = undefined;
    return answer;
  }
}

class Connection {
  #incoming = new Incoming();
  #socket;
  /** @type {((answer: Answer | undefined) => void) | undefined} */
  #resolve;

  /** Whether requests may still be made. */
  isOpen = true;

  /**
   * @param {{ host: string, port: number }} address
   */
  constructor(address) {
    const onread = { buffer: () => this.#incoming.room, callback: (/** @type {number} */ count) => this.#receive(count) };
    const socket = require('node:net').connect({ ...address, noDelay: true, onread });
    socket.setTimeout(CONNECT_TIMEOUT, () => socket.destroy());
    socket.on('connect', () => socket.setTimeout(0));
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      this.isOpen = false;
      this.#settle(undefined);
    });
    this.#socket = socket;
  }

  /** Whether an answer has begun that did not come to its end. */
  get hasBegun() {
    return this.#incoming.hasBegun;
  }

  /**
   * Sends a request. Its answer is undefined if the connection ends before.
   * @param {Buffer} head
   * @returns {Promise<Answer | undefined>}
   */
  ask(head) {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.isOpen) {
        this.#socket.ref();
        this.#socket.write(head);
      } else {
        this.#settle(undefined);
      }
    });
  }

  /**
   * Sends a request and has everything wait for its answer, which is undefined if there is none.
   * @param {Buffer} head
   * @param {Buffer} body
   * @returns {Answer | undefined}
   */
  askAndWait(head, body) {
    const { _handle: handle } = /** @type {{ _handle: { fd: number, setBlocking(on: boolean): number } }} */ (
      /** @type {unknown} */ (this.#socket)
    );
    try {
      handle.setBlocking(true);
      let isSent = true;
      try {
        send(handle.fd, [head, body]);
      } catch {
        // There may be an answer all the same, which came before all was sent.
        isSent = false;
      }
      const answer = receive(handle.fd, this.#incoming);
      if (!isSent) {
        this.close();
        return answer;
      }
      handle.setBlocking(false);
      this.#answered(answer);
      return answer;
    } catch {
      this.close();
      return undefined;
    }
  }

  close() {
    this.isOpen = false;
    this.#socket.destroy();
  }

  /**
   * Takes in what was received.
   * @param {number} count bytes of it
   */
  #receive(count) {
    if (this.#resolve === undefined) {
      // Nobody has asked.
      this.close();
      return false;
    }
    let answer;
    try {
      answer = this.#incoming.take(count);
    } catch {
      this.close();
      return false;
    }
    if (answer !== undefined) {
      this.#answered(answer);
      this.#settle(answer);
    }
    return this.isOpen;
  }

  /**
   * Whether the connection can be used again depends on how an answer ends.
   * @param {Answer} answer
   */
  #answered(answer) {
    this.#incoming.hasBegun = false;
    if (answer.body === undefined || this.#incoming.isTooMuch || answer.head.get('connection')?.toLowerCase() === 'close') {
      this.close();
    }
    // What waits for nothing keeps no process alive.
    this.#socket.unref();
  }

  /**
   * @param {Answer | undefined} answer
   */
  #settle(answer) {
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.(answer);
  }
}

/**
 * Sends all of this.
 * @param {number} fd
 * @param {Buffer[]} parts
 */
function send(fd, parts) {
  let left = parts.filter((part) => part.length > 0);
  while (left.length > 0) {
    let sent = uninterrupted(() => writevSync(fd, left));
    // Less only if a signal came meanwhile.
    left = left.flatMap((part) => {
      const skipped = Math.min(sent, part.length);
      sent -= skipped;
      return skipped < part.length ? [part.subarray(skipped)] : [];
    });
  }
}

/**
 * Makes a call of the system, again for as long as signals come meanwhile.
 * @param {() => number} call
 */
function uninterrupted(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EINTR') {
        throw error;
      }
    }
  }
}

/**
 * Receives one answer.
 * @param {number} fd
 * @param {Incoming} incoming
 */
function receive(fd, incoming) {
  for (;;) {
    const count = uninterrupted(() => readSync(fd, incoming.room));
    if (count === 0) {
      throw new Error('The connection ended.');
    }
    const answer = incoming.take(count);
    if (answer !== undefined) {
      return answer;
    }
  }
}

/**
 * Status and headers. Of those that come twice the first one counts.
 * @param {string} text
 */
function parse(text) {
  const [first = '', ...lines] = text.split('\r\n');
  const [, minor, status] = /^HTTP\/1\.(\d) (\d{3})/.exec(first) ?? [];
  if (status === undefined) {
    throw new Error('No answer of HTTP/1.');
  }
  /** @type {Map<string, string>} */
  const head = new Map();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).replace(SPACE, '').toLowerCase();
    if (colon >= 0 && !head.has(name)) {
      head.set(name, line.slice(colon + 1).replace(SPACE, ''));
    }
  }
  if (minor === '0' && !head.has('connection')) {
    head.set('connection', 'close');
  }
  return { status: Number(status), head };
}

module.exports = { Connection };
