// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Scales a picture in an object store, by a decoder that reads the object as a stream. */

const { GetObjectCommand, NoSuchKey, PutObjectCommand, S3Client } = require('@aws-sdk/client-s3');
const { PNG } = require('pngjs');

const s3 = new S3Client({});

/**
 * Reads `key` from `bucket` and writes it `width` pixels wide.
 * @param {{ bucket: string, key: string, width: number }} event
 */
async function handler({ bucket, key, width }) {
  let original;
  try {
    original = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  } catch (error) {
    if (error instanceof NoSuchKey) {
      return { key, missing: true };
    }
    throw error;
  }
  const picture = await decoded(/** @type {import('node:stream').Readable} */ (original.Body));
  const scaled = scale(picture, width);
  const outputKey = key.replace(/^in\//, 'out/');
  const Body = PNG.sync.write(scaled);
  const Metadata = { source: key, width: String(width) };
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: outputKey, Body, ContentType: 'image/png', Metadata }));
  const again = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: outputKey, Range: 'bytes=0-7' }));
  const signature = Buffer.from(await /** @type {any} */ (again.Body).transformToByteArray()).toString('hex');
  return {
    key: outputKey,
    size: [scaled.width, scaled.height],
    bytes: Body.length,
    source: { size: [picture.width, picture.height], bytes: original.ContentLength, type: original.ContentType },
    stored: { signature, range: again.ContentRange, metadata: again.Metadata, type: again.ContentType },
  };
}

/**
 * The picture that comes by a stream.
 * @param {import('node:stream').Readable} stream
 * @returns {Promise<any>}
 */
function decoded(stream) {
  return new Promise((resolve, reject) => {
    const png = new PNG();
    png.on('parsed', () => resolve(png));
    png.on('error', reject);
    stream.on('error', reject);
    stream.pipe(png);
  });
}

/**
 * A smaller picture, whose pixels are the means of those they stand for.
 * @param {{ width: number, height: number, data: Buffer }} from
 * @param {number} width
 */
function scale(from, width) {
  const height = Math.max(1, Math.round((from.height * width) / from.width));
  const to = new PNG({ width, height });
  for (let y = 0; y < height; y += 1) {
    const [top, bottom] = part(y, height, from.height);
    for (let x = 0; x < width; x += 1) {
      const [left, right] = part(x, width, from.width);
      for (let channel = 0; channel < 4; channel += 1) {
        let sum = 0;
        for (let row = top; row < bottom; row += 1) {
          for (let column = left; column < right; column += 1) {
            sum += /** @type {number} */ (from.data[(row * from.width + column) * 4 + channel]);
          }
        }
        to.data[(y * width + x) * 4 + channel] = Math.round(sum / ((bottom - top) * (right - left)));
      }
    }
  }
  return to;
}

/**
 * Where the part `index` of `count` begins and ends of a `length`.
 * @param {number} index
 * @param {number} count
 * @param {number} length
 * @returns {[number, number]}
 */
function part(index, count, length) {
  const begin = Math.floor((index * length) / count);
  return [begin, Math.max(begin + 1, Math.floor(((index + 1) * length) / count))];
}

exports.handler = handler;
