// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Bodies that are streams of files. One that is not large is read whole, so that its checksum is known before it is sent. */

const fs = require('node:fs');

/** Files of up to this length are read whole, in bytes. */
const LONGEST = 8 * 1024 * 1024;

/**
 * An input with the content of a file in the place of its stream; undefined if the body is something else, or for a real client.
 * @param {any} input
 * @returns {Promise<any> | undefined}
 */
function read(input) {
  const { Body, ContentLength } = input;
  if (Body === null || typeof Body !== 'object' || typeof Body.pipe !== 'function' || !isFresh(Body)) {
    return undefined;
  }
  const size = sizeOf(Body.path);
  return size === undefined || (ContentLength !== undefined && ContentLength !== size) ? undefined : collect(input, Body);
}

/**
 * Whether a stream is of a whole file, and nobody has begun to read it.
 * @param {any} stream
 */
function isFresh(stream) {
  return (
    stream instanceof fs.ReadStream &&
    Object.getPrototypeOf(stream) === fs.ReadStream.prototype &&
    typeof stream.path === 'string' &&
    /** @type {any} */ (stream).start === undefined &&
    /** @type {any} */ (stream).end === Infinity &&
    stream.readableFlowing === null &&
    stream.readableEncoding === null &&
    stream.bytesRead === 0 &&
    !stream.destroyed
  );
}

/**
 * The size of a file that can be read and is not too long, or undefined.
 * @param {string} path
 */
function sizeOf(path) {
  try {
    const stat = fs.lstatSync(path);
    fs.accessSync(path, fs.constants.R_OK);
    // Of an empty file the stream is not read.
    return stat.isFile() && stat.size > 0 && stat.size <= LONGEST ? stat.size : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {any} input
 * @param {import('node:fs').ReadStream} stream
 */
async function collect(input, stream) {
  /** @type {Buffer[]} */
  const pieces = [];
  for await (const piece of stream) {
    pieces.push(piece);
  }
  return { ...input, Body: Buffer.concat(pieces) };
}

module.exports = { read };
