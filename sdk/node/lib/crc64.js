// SPDX-License-Identifier: Apache-2.0
'use strict';

/** CRC-64/NVME, as S3 has it: the checksum of objects that came without one. */

// The polynomial's halves, bit-reversed.
const HIGH = 0x9a6c_9329;
const LOW = 0xac4b_c9b5;

/** @type {{ high: Uint32Array, low: Uint32Array } | undefined} */
let table;

function makeTable() {
  const made = { high: new Uint32Array(256), low: new Uint32Array(256) };
  for (let byte = 0; byte < 256; byte += 1) {
    let [high, low] = [0, byte];
    for (let bit = 0; bit < 8; bit += 1) {
      const isOdd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (isOdd) {
        high ^= HIGH;
        low ^= LOW;
      }
    }
    made.high[byte] = high;
    made.low[byte] = low;
  }
  return made;
}

/** A running checksum. */
class Crc64 {
  #high = -1;
  #low = -1;

  /**
   * Takes in more.
   * @param {Uint8Array} data
   */
  update(data) {
    const rows = (table ??= makeTable());
    let [high, low] = [this.#high, this.#low];
    for (let at = 0; at < data.length; at += 1) {
      const row = (low ^ /** @type {number} */ (data[at])) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ /** @type {number} */ (rows.low[row]);
      high = (high >>> 8) ^ /** @type {number} */ (rows.high[row]);
    }
    this.#high = high;
    this.#low = low;
  }

  /** What S3 calls it: big-endian, in base64. */
  text() {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeUInt32BE(~this.#high >>> 0, 0);
    bytes.writeUInt32BE(~this.#low >>> 0, 4);
    return bytes.toString('base64');
  }
}

module.exports = { Crc64 };
