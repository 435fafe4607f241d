// SPDX-License-Identifier: Apache-2.0
'use strict';

const { AsyncResource } = require('node:async_hooks');

/** What is kept of a body that nobody reads yet, before its connection is left to wait, in bytes. */
const KEPT = 64 * 1024;

/** Headers of which Node takes the first, if they come more than once; values of others are joined. */
const ONCE = new Set([
  'age',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'last-modified',
  'location',
  'retry-after',
  'server',
]);

/** The gateway went away. */
class Broken extends Error {}

/**
 * The value of a header that came twice.
 * @param {string} name
 * @param {string} first
 * @param {string} second
 */
function join(name, first, second) {
  return ONCE.has(name) ? first : `${first}, ${second}`;
}

/** An answer of the gateway, whose body may still be coming. */
class Answer {
  /** @type {import('./types').Source | undefined} */
  #source;
  /** @type {((piece: Buffer) => boolean) | undefined} */
  #take;
  /** @type {((error?: Broken) => void) | undefined} */
  #end;
  /** @type {Buffer[]} */
  #pieces = [];
  #size = 0;
  /** @type {Broken | undefined} */
  #error;
  #caller;

  /**
   * @param {number} status
   * @param {string} head names of headers, an empty string, and their values; each string ends with a zero
   * @param {number | undefined} length of the body, if it is known
   * @param {import('./types').Source} source where the body comes from
   * @param {AsyncResource} caller in whose context pieces of the body are handed out
   */
  constructor(status, head, length, source, caller) {
    const end = head.startsWith('\0') ? 0 : head.indexOf('\0\0');
    this.status = status;
    /** Names of the headers, with zeros between them. */
    this.names = head.slice(0, end);
    /** Their values, in the same order. */
    this.values = head.slice(end === 0 ? 1 : end + 2, -1).split('\0');
    this.length = length;
    /** Whether all of the body is there. */
    this.isWhole = false;
    /** Whether the first value of a header that comes more than once has all of them. */
    this.isJoined = false;
    this.#source = source;
    this.#caller = caller;
  }

  /** Names and values of the headers. */
  headers() {
    /** @type {Record<string, string>} */
    const headers = {};
    if (this.names !== '') {
      this.names.split('\0').forEach((name, at) => {
        const [known, value] = [headers[name], this.values[at] ?? ''];
        if (known === undefined || !this.isJoined) {
          headers[name] = known === undefined ? value : join(name, known, value);
        }
      });
    }
    return headers;
  }

  /** What is there of the body and was not handed out. */
  buffered() {
    const [first] = this.#pieces;
    return first !== undefined && this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces);
  }

  /**
   * Has the body handed out piece by piece.
   * @param {(piece: Buffer) => boolean} take says whether more is wanted at once
   * @param {(error?: Broken) => void} end
   */
  read(take, end) {
    const pieces = this.#pieces;
    this.#pieces = [];
    let more = true;
    for (const piece of pieces) {
      more = take(piece);
    }
    if (this.isWhole || this.#error) {
      end(this.#error);
      return;
    }
    this.#take = take;
    this.#end = end;
    if (more) {
      this.#source?.resume();
    }
  }

  /** Goes on with handing out. */
  resume() {
    this.#source?.resume();
  }

  /** Gives up what was not read. */
  close() {
    const source = this.#source;
    this.#source = undefined;
    source?.close();
  }

  /**
   * The whole body.
   * @returns {Promise<Buffer>}
   */
  async whole() {
    if (!this.isWhole) {
      /** @type {Buffer[]} */
      const pieces = [];
      await new Promise((resolve, reject) => {
        this.read(
          (piece) => pieces.push(piece) > 0,
          (error) => (error ? reject(error) : resolve(undefined)),
        );
      });
      this.#pieces = pieces;
    }
    return this.buffered();
  }

  /**
   * A piece of the body is there. Says whether another may come.
   * @param {Buffer} piece
   * @returns {boolean}
   */
  push(piece) {
    if (this.#take) {
      return this.#caller.runInAsyncScope(this.#take, undefined, piece);
    }
    this.#size += piece.length;
    this.#pieces.push(piece);
    return this.#size < KEPT;
  }

  /**
   * No more will come.
   * @param {Broken} [error] why, if it is not because all is there
   */
  finish(error) {
    this.#source = undefined;
    this.#error = error;
    this.isWhole = error === undefined;
    if (this.#end) {
      this.#caller.runInAsyncScope(this.#end, undefined, error);
    }
  }
}

module.exports = { Answer, join, AsyncResource, Broken };
