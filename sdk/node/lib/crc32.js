// SPDX-License-Identifier: Apache-2.0
'use strict';

/** CRC-32, as S3 has it. */

/** From this length on it is worth the while to load zlib, which does it in machine code, in bytes. */
const LARGE = 32 * 1024;

/** @type {((data: Uint8Array, value?: number) => number) | null | undefined} */
let native;
/** @type {Uint32Array | undefined} */
let table;

function makeTable() {
  const made = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
    }
    made[byte] = value;
  }
  return made;
}

/** A running checksum. */
class Crc32 {
  #value = 0;

  /**
   * Takes in more.
   * @param {Uint8Array} data
   */
  update(data) {
    if (data.length >= LARGE) {
      native ??= require('node:zlib').crc32 ?? null;
      if (native) {
        this.#value = native(data, this.#value);
        return;
      }
    }
    const rows = (table ??= makeTable());
    let state = ~this.#value;
    for (let at = 0; at < data.length; at += 1) {
      state = /** @type {number} */ (rows[(state ^ /** @type {number} */ (data[at])) & 0xff]) ^ (state >>> 8);
    }
    this.#value = ~state >>> 0;
  }

  /** What S3 calls it: big-endian, in base64. */
  text() {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32BE(this.#value);
    return bytes.toString('base64');
  }
}

module.exports = { Crc32 };
