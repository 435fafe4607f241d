// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What stands for the stream that an object's content comes as. */

const { Readable } = require('node:stream');

/** @typedef {import('./types').Answer} Answer */
/** @typedef {{ checksum: import('./types').Checksum, expected: string, header: string }} Check how content is checked */

/** What a stream says of itself when it has come to its end. */
const ENDED = { readableEnded: { value: true }, readableAborted: { value: false } };

/** The content of an answer. */
class Body extends Readable {
  #answer;
  #isBegun = false;
  #isTransformed = false;

  /**
   * @param {Answer} answer
   */
  constructor(answer) {
    super();
    this.#answer = answer;
  }

  /** The answer's status. */
  get statusCode() {
    return this.#answer.status;
  }

  /** The answer's headers. */
  get headers() {
    return this.#answer.headers();
  }

  /** @override */
  _read() {
    if (this.#isBegun) {
      this.#answer.resume();
      return;
    }
    this.#isBegun = true;
    this.#answer.read(
      (piece) => {
        this.note(piece);
        return this.push(piece);
      },
      (broken) => this.#end(broken ? this.lost() : this.fault()),
    );
  }

  /**
   * @override
   * @param {Error | null} error
   * @param {(error?: Error | null) => void} done
   */
  _destroy(error, done) {
    this.#answer.close();
    done(error);
  }

  /**
   * Takes note of what is handed out.
   * @protected
   * @param {Buffer} _piece
   */
  note(_piece) {}

  /**
   * What is wrong with all that was handed out.
   * @protected
   * @returns {Error | undefined}
   */
  fault() {
    return undefined;
  }

  /**
   * The error for content that breaks off.
   * @protected
   * @returns {Error}
   */
  lost() {
    return Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  }

  /**
   * All of it as bytes.
   * @returns {Promise<Uint8Array>}
   */
  async transformToByteArray() {
    const { buffer, byteOffset, byteLength } = await this.#collect();
    // Nobody is to see what else is in a larger buffer.
    return byteLength === buffer.byteLength
      ? new Uint8Array(buffer)
      : new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength));
  }

  /**
   * All of it as a text.
   * @param {string} [encoding]
   */
  async transformToString(encoding) {
    const bytes = await this.#collect();
    return encoding === undefined || Buffer.isEncoding(encoding)
      ? bytes.toString(encoding)
      : new TextDecoder(encoding).decode(bytes);
  }

  /** The same as a stream of the web's kind. */
  transformToWebStream() {
    if (this.#isTransformed) {
      throw new Error('The stream has already been transformed.');
    }
    if (this.readableFlowing !== null) {
      throw new Error('The stream has been consumed by other callbacks.');
    }
    this.#transform();
    return Readable.toWeb(/** @type {Readable} */ (this));
  }

  /**
   * All that is left, which goes past the stream unless somebody reads that already.
   * @returns {Promise<Buffer>}
   */
  async #collect() {
    this.#transform();
    if (this.#isBegun || this.destroyed || this.readableFlowing !== null) {
      /** @type {Buffer[]} */
      const pieces = [];
      for await (const piece of this) {
        pieces.push(piece);
      }
      return Buffer.concat(pieces);
    }
    this.#isBegun = true;
    let data;
    try {
      data = await this.#answer.whole();
    } catch {
      throw this.#fail(this.lost());
    }
    this.note(data);
    const fault = this.fault();
    if (fault) {
      throw this.#fail(fault);
    }
    this.push(null);
    if (this.listenerCount('end') > 0) {
      this.resume();
    } else {
      // A stream's own way to its end takes as long as all the rest, and nobody waits for it.
      this.destroy();
      Object.defineProperties(this, ENDED);
    }
    return data;
  }

  /**
   * Ends the stream with an error that its reader is told of otherwise.
   * @param {Error} error
   */
  #fail(error) {
    this.on('error', () => {});
    this.destroy(error);
    return error;
  }

  /**
   * @param {Error | undefined} error
   */
  #end(error) {
    if (error) {
      this.destroy(error);
    } else {
      this.push(null);
    }
  }

  #transform() {
    if (this.#isTransformed) {
      throw new Error('The stream has already been transformed.');
    }
    this.#isTransformed = true;
  }
}
// As the class is called that it stands for.
Object.defineProperty(Body, 'name', { value: 'IncomingMessage' });

/** Content whose checksum is known beforehand. */
class ChecksumStream extends Body {
  #check;

  /**
   * @param {Answer} answer
   * @param {Check} check
   */
  constructor(answer, check) {
    super(answer);
    this.#check = check;
  }

  /**
   * @override
   * @param {Buffer} piece
   */
  note(piece) {
    this.#check.checksum.update(piece);
  }

  /** @override */
  fault() {
    const { checksum, expected, header } = this.#check;
    const received = checksum.text();
    return received === expected
      ? undefined
      : new Error(`Checksum mismatch: expected "${expected}" but received "${received}" in response header "${header}".`);
  }

  /** @override */
  lost() {
    return new Error('Connection lost or stream closed before all data was received.');
  }
}

/**
 * The stream for an answer's content, which is checked if its checksum is known.
 * @param {Answer} answer
 * @param {Check | undefined} check
 */
function make(answer, check) {
  return check === undefined ? new Body(answer) : new ChecksumStream(answer, check);
}

module.exports = { make };
