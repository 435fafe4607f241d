// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Bodies as streams, both ways. */

const { AsyncLocalStorage } = require('node:async_hooks');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Readable, Writable } = require('node:stream');
const { finished, pipeline } = require('node:stream/promises');

const { outcome } = require('../plain.cjs');

/** @typedef {import('../equivalence.cjs').Case} Case */

const LARGE = Buffer.alloc(3_000_000, 'large ');

/**
 * A function that gets the body of the object `x` anew.
 * @param {any} s3
 * @param {string} Bucket
 * @param {any} sdk
 * @param {string | Buffer} content
 */
async function bodyOf(s3, Bucket, sdk, content) {
  await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: content }));
  return async () => (await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'x' }))).Body;
}

/** @type {Record<string, Case>} */
module.exports = {
  async filesUp(s3, Bucket, sdk) {
    const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'files-'));
    const file = path.join(folder, 'file');
    const seen = [];
    for (const size of [1_000_000, 100_000, 5]) {
      fs.writeFileSync(file, 'x'.repeat(size));
      const Body = fs.createReadStream(file);
      /** @type {string[]} */
      const events = [];
      for (const name of ['end', 'close', 'error']) {
        Body.on(name, () => events.push(name));
      }
      const Key = `file${size}`;
      const put = new sdk.PutObjectCommand({ Bucket, Key, Body, ContentType: 'text/plain', Metadata: { one: '1' } });
      seen.push(await outcome(() => s3.send(put)));
      const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key }));
      // There are stores that keep what is said of the way an object came.
      delete got.ContentEncoding;
      seen.push(got, (await got.Body.transformToString()).length, events, Body.destroyed, Body.bytesRead);
    }
    const Body = fs.createReadStream(file);
    seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'length', Body, ContentLength: 5 }))));
    const refused = fs.createReadStream(file);
    seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket: 'elsewhere', Key: 'x', Body: refused }))));
    fs.rmSync(folder, { recursive: true });
    for (const Key of ['file5', 'file100000', 'file1000000', 'length']) {
      await s3.send(new sdk.DeleteObjectCommand({ Bucket, Key }));
    }
    return seen;
  },

  async filesUpOtherwise(s3, Bucket, sdk) {
    const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'files-'));
    const file = path.join(folder, 'file');
    fs.writeFileSync(file, '0123456789');
    const begun = fs.createReadStream(file);
    await new Promise((resolve) => begun.once('readable', () => resolve(undefined)));
    fs.writeFileSync(path.join(folder, 'empty'), '');
    const streams = [begun, fs.createReadStream(file, { start: 2, end: 5 }), fs.createReadStream(path.join(folder, 'empty'))];
    const seen = [];
    for (const [at, Body] of streams.entries()) {
      seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: `other${at}`, Body }))));
    }
    // What only a real client knows is found when the file is read already.
    const Body = fs.createReadStream(file);
    const put = new sdk.PutObjectCommand({ Bucket, Key: 'unknown', Body, Unknown: 1 });
    seen.push(await outcome(() => s3.send(put)), put.input.Body === Body);
    seen.push(await (await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'unknown' }))).Body.transformToString());
    await s3.send(new sdk.DeleteObjectCommand({ Bucket, Key: 'unknown' }));
    seen.push(Body.destroyed);
    fs.rmSync(folder, { recursive: true });
    return seen;
  },

  async oneInput(s3, Bucket, sdk) {
    const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'files-'));
    const file = path.join(folder, 'file');
    fs.writeFileSync(file, '0123456789');
    const bodies = { whole: fs.createReadStream(file), part: fs.createReadStream(file, { start: 2, end: 5 }), text: 'text' };
    const seen = [];
    /** @type {Record<string, unknown>} */
    const input = { Bucket };
    for (const [Key, Body] of Object.entries(bodies)) {
      Object.assign(input, { Key, Body });
      seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand(input))));
    }
    for (const Key of Object.keys(bodies)) {
      seen.push(await (await s3.send(new sdk.GetObjectCommand({ Bucket, Key }))).Body.transformToString());
      await s3.send(new sdk.DeleteObjectCommand({ Bucket, Key }));
    }
    fs.rmSync(folder, { recursive: true });
    return seen;
  },

  async reading(s3, Bucket, sdk) {
    const seen = [];
    for (const content of ['small', LARGE]) {
      const body = await bodyOf(s3, Bucket, sdk, content);
      const pieces = [];
      for await (const piece of await body()) {
        pieces.push(piece);
      }
      seen.push([Buffer.isBuffer(pieces[0]), Buffer.concat(pieces).equals(Buffer.from(content))]);
      const piped = fs.createWriteStream(path.join(os.tmpdir(), `${Bucket}.piped`));
      await pipeline(await body(), piped);
      seen.push(piped.bytesWritten);
      const decoded = await body();
      decoded.setEncoding('utf8');
      let text = '';
      decoded.on('data', (/** @type {string} */ piece) => (text += piece));
      await finished(decoded);
      seen.push(text.length, decoded.readableEnded, decoded.destroyed);
      const web = (await body()).transformToWebStream();
      let length = 0;
      for await (const piece of web) {
        length += piece.length;
      }
      seen.push(length, web.constructor.name);
      seen.push((await (await body()).transformToString()).length, (await (await body()).transformToString('hex')).length);
      seen.push(
        (await (await body()).transformToString('utf-16le')).length,
        (await (await body()).transformToString('iso-8859-1')).length,
      );
      seen.push((await (await body()).transformToByteArray()).constructor.name);
    }
    return seen;
  },

  async states(s3, Bucket, sdk) {
    const body = await bodyOf(s3, Bucket, sdk, 'small');
    const once = await body();
    const seen = [
      once instanceof Readable,
      once.readable,
      once.readableFlowing,
      once.destroyed,
      await once.transformToString(),
    ];
    seen.push(
      await outcome(() => once.transformToString()),
      await outcome(() => once.transformToWebStream()),
      once.readableEnded,
    );
    const flowing = await body();
    flowing.resume();
    seen.push(await outcome(() => flowing.transformToWebStream()));
    const gone = await body();
    gone.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(gone.destroyed, gone.readableEnded);
    const broken = await body();
    broken.on('error', () => {});
    broken.destroy(new Error('mine'));
    seen.push(await outcome(() => finished(broken)));
    const events = /** @type {string[]} */ ([]);
    const listened = await body();
    for (const event of ['data', 'end', 'close', 'error']) {
      listened.on(event, () => events.push(event));
    }
    await new Promise((resolve) => listened.on('close', resolve));
    seen.push(events);
    const paused = await body();
    await new Promise((resolve) => paused.once('readable', resolve));
    seen.push(paused.read()?.toString(), paused.read());
    return seen;
  },

  async manyUnread(s3, Bucket, sdk) {
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: LARGE }));
    const bodies = await Promise.all(
      Array.from({ length: 30 }, async () => (await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'x' }))).Body),
    );
    const read = await Promise.all(bodies.map(async (body) => (await body.transformToByteArray()).length));
    const dropped = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'x' }));
    dropped.Body.destroy();
    return [read, (await s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'x' }))).ContentLength];
  },

  async slowReader(s3, Bucket, sdk) {
    const body = await bodyOf(s3, Bucket, sdk, LARGE);
    let length = 0;
    const slow = new Writable({
      highWaterMark: 1024,
      write(piece, _, done) {
        length += piece.length;
        setTimeout(done, 1);
      },
    });
    await pipeline(await body(), slow);
    return length;
  },

  async streamsUp(s3, Bucket, sdk) {
    const file = path.join(os.tmpdir(), `${Bucket}.up`);
    fs.writeFileSync(file, 'from a file');
    const seen = [
      await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'file', Body: fs.createReadStream(file) }))),
    ];
    seen.push(
      await outcome(() =>
        s3.send(
          new sdk.PutObjectCommand({ Bucket, Key: 'known', Body: Readable.from([Buffer.from('a stream')]), ContentLength: 8 }),
        ),
      ),
    );
    const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'file' }));
    seen.push(
      await outcome(() =>
        s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'again', Body: got.Body, ContentLength: got.ContentLength })),
      ),
    );
    // There are stores that keep what is said of the way an object came.
    await s3.send(new sdk.DeleteObjectCommand({ Bucket, Key: 'file' }));
    return seen;
  },

  async contexts(s3, Bucket, sdk) {
    const storage = new AsyncLocalStorage();
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: LARGE }));
    const one = (/** @type {number} */ number) =>
      storage.run(number, async () => {
        const seen = new Set();
        const { Body } = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'x' }));
        seen.add(storage.getStore());
        Body.on('data', () => seen.add(storage.getStore()));
        Body.on('end', () => seen.add(storage.getStore()));
        await finished(Body);
        await new Promise((resolve) =>
          s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'x' }), () => resolve(seen.add(storage.getStore()))),
        );
        return [...seen];
      });
    return Promise.all([one(1), one(2), one(3)]);
  },
};
