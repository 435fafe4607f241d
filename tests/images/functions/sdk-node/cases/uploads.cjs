// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Uploads: whole, in parts, by `Upload` of lib-storage and by hand. */

const { EventEmitter, once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { PassThrough, Readable } = require('node:stream');

const { optional } = require('./libraries.cjs');
const { outcome, volatile } = require('../plain.cjs');

/** @typedef {import('../equivalence.cjs').Case} Case */

const storage = optional('@aws-sdk/lib-storage');

/** The smallest part that the package takes, in bytes. */
const PART = 5 * 1024 * 1024;

/** Has the package take small parts, as its own tests do. */
function takeSmallParts() {
  storage.Upload.MIN_PART_SIZE = 10;
}

/**
 * An upload and what it comes to, with what it tells of its progress, and what is left of it if it fails. Parts that are underway at once end in any
 * order.
 * @param {any} options
 */
async function upload(options) {
  const made = new storage.Upload(options);
  /** @type {any[]} */
  const events = [];
  made.on('httpUploadProgress', (/** @type {unknown} */ progress) => events.push(progress));
  const result = await outcome(() => made.done());
  const told = events.sort((one, other) => one.part - other.part).map((event) => ({ ...event, loaded: typeof event.loaded }));
  return [result, told, 'error' in result ? await left(made) : undefined];
}

/**
 * What is left of an upload that was begun.
 * @param {any} made
 */
function left({ uploadId, params }) {
  const { S3Client, ListPartsCommand } = require('@aws-sdk/client-s3');
  if (uploadId === undefined) {
    return undefined;
  }
  return outcome(async () => {
    const { Parts = [] } = await new S3Client({}).send(new ListPartsCommand({ ...params, UploadId: uploadId }));
    return Parts.map((/** @type {{ Size: number }} */ { Size }) => Size).sort();
  });
}

/**
 * A stream of pieces.
 * @param {unknown[]} pieces
 */
function streamOf(...pieces) {
  return Readable.from(pieces);
}

/**
 * A stream that breaks off with an error.
 * @param {unknown[]} pieces
 */
function broken(...pieces) {
  return Readable.from(
    (async function* () {
      yield* pieces;
      await new Promise((resolve) => setTimeout(resolve, 50));
      throw new RangeError('mine');
    })(),
  );
}

/** @type {Record<string, Case>} */
const CASES = {
  async uploads(s3, Bucket) {
    const seen = [];
    for (const [Key, Body] of [
      ['a/b ü.txt', 'täxt'],
      ['bytes', new Uint8Array([1, 2])],
      ['empty', ''],
      ['whole', Buffer.alloc(5 * 1024 * 1024, 'x')],
    ]) {
      const made = new storage.Upload({ client: s3, params: { Bucket, Key, Body, ContentType: 'text/plain' } });
      made.on('httpUploadProgress', (/** @type {unknown} */ progress) => seen.push(progress));
      seen.push(await outcome(() => made.done()), made instanceof storage.Upload, made.constructor.name);
    }
    const listened = new storage.Upload({ client: s3, params: { Bucket, Key: 'x', Body: 'x' }, queueSize: 2, tags: [] });
    seen.push(
      listened.listenerCount('httpUploadProgress'),
      listened instanceof EventEmitter,
      listened.on('other', () => {}) === listened,
    );
    return [...seen, await listened.done(), listened.listenerCount('other')];
  },

  async uploadsOfParts(s3, Bucket) {
    const large = new storage.Upload({ client: s3, params: { Bucket, Key: 'large', Body: Buffer.alloc(6_000_000, 'x') } });
    /** @type {unknown[]} */
    const seen = [Object.keys(await large.done()).sort()];
    for (const options of [
      { client: s3, params: { Bucket, Key: 'stream', Body: Readable.from(['a', 'b']) } },
      { client: s3, params: { Bucket, Key: 'length', Body: 'text', ContentLength: 4 } },
      { client: s3, params: { Bucket, Key: 'tags', Body: 'text' }, tags: [{ Key: 'a', Value: 'b' }] },
      { client: s3, params: { Bucket, Key: 'none' } },
      { client: s3 },
      { client: s3, params: { Bucket, Key: 'small', Body: 'x' }, partSize: 5 },
      { params: { Bucket, Key: 'x', Body: 'x' } },
      {},
    ]) {
      seen.push(await outcome(() => new storage.Upload(options).done()));
    }
    return seen;
  },

  async uploadsLookedAt(s3, Bucket) {
    const make = (/** @type {object} */ more) =>
      new storage.Upload({ client: s3, params: { Bucket, Key: 'x', Body: 'x' }, ...more });
    const looked = make({});
    const result = await looked.done();
    const seen = [result, looked.isMultiPart, looked.params.Key, looked.totalBytes, await outcome(() => looked.done())];
    const before = make({});
    await before.abort();
    const during = make({});
    const done = outcome(() => during.done());
    during.abort();
    const controller = new AbortController();
    controller.abort();
    return [
      ...seen,
      await outcome(() => before.done()),
      await done,
      await outcome(() => make({ abortController: controller }).done()),
    ];
  },

  async uploadsOfStreams(s3, Bucket) {
    const file = path.join(os.tmpdir(), `${Bucket}.file`);
    fs.writeFileSync(file, 'of a file');
    const written = new PassThrough();
    const slow = new PassThrough();
    const seen = [];
    const done = upload({ client: s3, params: { Bucket, Key: 'slow', Body: slow, ContentType: 'text/plain' } });
    for (const piece of ['one', 'another', 'last']) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      slow.write(piece);
    }
    slow.end();
    seen.push(await done);
    written.end('written');
    for (const [Key, make] of /** @type {[string, () => unknown][]} */ ([
      ['written', () => written],
      ['pieces', () => streamOf('täxt', Buffer.from('buffer'), new Uint8Array([1, 2]))],
      ['empty', () => streamOf()],
      ['nothing', () => new PassThrough().end()],
      ['file', () => fs.createReadStream(file)],
      ['range', () => fs.createReadStream(file, { start: 3, end: 4 })],
      ['absent', () => fs.createReadStream(`${file}.absent`)],
      ['web', () => new Blob(['of the ', 'web']).stream()],
      ['blob', () => new Blob(['blob'])],
      ['numbers', () => streamOf(1, 2)],
      ['objects', () => streamOf({ a: 1 })],
      ['broken', () => broken('some')],
      ['at once', () => broken()],
      ['destroyed', () => new PassThrough().destroy()],
      ['string', () => new String('an object')],
      ['number', () => 5],
      ['array', () => [1, 2]],
    ])) {
      seen.push([Key, await upload({ client: s3, params: { Bucket, Key, Body: make() } })]);
    }
    fs.rmSync(file);
    return seen;
  },

  async uploadsOfLengths(s3, Bucket) {
    const seen = [];
    for (const [Key, size, ContentLength] of /** @type {const} */ ([
      ['right', 10, 10],
      ['none', 0, 0],
    ])) {
      const params = { Bucket, Key, Body: streamOf('x'.repeat(size)), ContentLength };
      seen.push(await upload({ client: s3, params }));
    }
    takeSmallParts();
    for (const [Key, ContentLength] of /** @type {const} */ ([
      ['less', 12],
      ['more', 100],
    ])) {
      const params = { Bucket, Key, Body: streamOf('x'.repeat(25)), ContentLength };
      seen.push(await upload({ client: s3, params, partSize: 10 }));
    }
    return seen;
  },

  async uploadsOfManyParts(s3, Bucket, sdk) {
    const seen = [];
    for (const queueSize of [1, 4]) {
      const exact = [Buffer.alloc(PART / 2, 'one '), Buffer.alloc(PART, 'two '), Buffer.alloc(PART / 2, 'three ')];
      for (const [Key, Body] of /** @type {[string, unknown][]} */ ([
        ['bytes', Buffer.alloc(PART + 1, 'bytes ')],
        ['exact', streamOf(...exact)],
      ])) {
        const params = { Bucket, Key: `${Key} ${queueSize}`, Body, ContentType: 'text/plain', Metadata: { one: '1' } };
        seen.push(await upload({ client: s3, params, queueSize }));
        const got = await s3.send(
          new sdk.GetObjectCommand({ Bucket, Key: params.Key, Range: `bytes=${PART - 8}-${PART + 8}` }),
        );
        seen.push(got, await got.Body.transformToString());
      }
    }
    return seen;
  },

  async uploadsOfLargeParts(s3, Bucket, sdk) {
    const Body = new PassThrough();
    const done = upload({ client: s3, params: { Bucket, Key: 'x', Body } });
    for (let piece = 0; piece < 100; piece += 1) {
      if (!Body.write(Buffer.alloc(60_000, `${piece} `))) {
        await once(Body, 'drain');
      }
    }
    Body.end();
    const result = await done;
    const { Body: stored } = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'x' }));
    const data = Buffer.from(await stored.transformToByteArray());
    return [result, data.length, data.subarray(PART - 50_000, PART + 50_000).toString()];
  },

  async uploadsWithParameters(_, Bucket, sdk) {
    takeSmallParts();
    const seen = [];
    for (const more of [
      { CacheControl: 'no-cache', ContentLanguage: 'de', ContentDisposition: 'inline', ContentEncoding: 'identity' },
      { StorageClass: 'STANDARD', ServerSideEncryption: 'AES256' },
      { Tagging: 'a=b', ACL: 'private' },
      { ChecksumAlgorithm: 'CRC32' },
      { ChecksumAlgorithm: 'SHA256' },
      { Expires: new Date(0) },
      { IfNoneMatch: '*' },
      { ExpectedBucketOwner: '123456789012', RequestPayer: 'requester' },
      { Metadata: { two: 2 } },
      { UploadId: 'mine', PartNumber: 7 },
      { Nonsense: true, ContentType: undefined },
      { Bucket: 'no-such-bucket' },
      { Bucket: 'Not A Name' },
      { Key: '' },
      { Key: undefined },
    ]) {
      for (const Body of ['small', 'larger than one part']) {
        const client = new sdk.S3Client({});
        seen.push(
          await upload({ client, params: { Bucket, Key: `${Object.keys(more)[0]} ${Body}`, Body, ...more }, partSize: 10 }),
        );
      }
    }
    const params = {
      Bucket,
      Key: 'whole',
      Body: Buffer.alloc(PART + 1, 'x'),
      Tagging: 'a=b',
      IfNoneMatch: '*',
      CacheControl: 'no-cache',
    };
    const client = new sdk.S3Client({});
    seen.push(await upload({ client, params, partSize: PART }), await upload({ client, params, partSize: PART }));
    return seen;
  },

  async uploadsThatFail(s3, Bucket) {
    takeSmallParts();
    const seen = [];
    for (const leavePartsOnError of [false, true]) {
      const params = { Bucket, Key: `broken ${leavePartsOnError}`, Body: broken('0123456789'.repeat(3)) };
      seen.push(await upload({ client: s3, params, partSize: 10, leavePartsOnError }));
      const thrown = new storage.Upload({
        client: s3,
        params: { ...params, Body: streamOf('0123456789'.repeat(3)) },
        partSize: 10,
      });
      thrown.on('httpUploadProgress', () => {
        throw new TypeError('of a listener');
      });
      seen.push(await outcome(() => thrown.done()), await left(thrown));
    }
    return seen;
  },

  async uploadsAborted(s3, Bucket) {
    takeSmallParts();
    const seen = [];
    const waiting = new storage.Upload({ client: s3, params: { Bucket, Key: 'waiting', Body: new PassThrough() } });
    const waited = outcome(() => waiting.done());
    await new Promise((resolve) => setTimeout(resolve, 20));
    await waiting.abort();
    seen.push(await waited);
    const controller = new AbortController();
    for (const abortController of [undefined, controller]) {
      const Body = new PassThrough();
      const made = new storage.Upload({ client: s3, params: { Bucket, Key: 'midway', Body }, partSize: 10, abortController });
      const done = outcome(() => made.done());
      made.on('httpUploadProgress', () => (abortController ?? made).abort());
      Body.write('0123456789'.repeat(2));
      Body.write('0123456789');
      seen.push(await done, made.isMultiPart, made.uploadedParts.length, made.abortController.signal.aborted);
      Body.end();
      await Promise.all(made.concurrentUploaders);
      // What it does besides is done a little later.
      for (let tries = 0; tries < 100 && /** @type {any} */ (await left(made))?.result?.length > 0; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      seen.push(await left(made));
    }
    return seen;
  },

  async uploadsOfOtherClients(_, Bucket, sdk) {
    takeSmallParts();
    const seen = [];
    const called = /** @type {string[]} */ ([]);
    const traced = new sdk.S3Client({});
    traced.middlewareStack.add(
      (/** @type {any} */ next, /** @type {any} */ context) => (/** @type {any} */ args) => {
        called.push(context.commandName);
        return next(args);
      },
      { step: 'build' },
    );
    const real = new sdk.S3Client({});
    await real.send(new sdk.ListObjectsCommand({ Bucket }));
    for (const client of [
      traced,
      real,
      new sdk.S3({}),
      new sdk.S3Client({ forcePathStyle: true }),
      new sdk.S3Client({ maxAttempts: 2 }),
      { send: () => Promise.resolve({ ETag: '"mine"' }) },
      {
        send: () => Promise.resolve({ ETag: '"mine"' }),
        config: { endpoint: () => ({ protocol: 'a:', hostname: 'b', port: 5 }) },
      },
    ]) {
      for (const Body of ['small', streamOf('larger than', ' one part')]) {
        seen.push(await upload({ client, params: { Bucket, Key: 'a/b c', Body }, partSize: 10, queueSize: 1 }));
      }
    }
    return [...seen, called];
  },

  async uploadsOfMocks(s3, Bucket, sdk) {
    takeSmallParts();
    const original = sdk.S3Client.prototype.send;
    const sent = /** @type {unknown[]} */ ([]);
    sdk.S3Client.prototype.send = (/** @type {any} */ command) => {
      sent.push(command.constructor.name, command.input);
      return Promise.resolve({ ETag: '"mocked"', UploadId: 'mocked' });
    };
    const seen = [
      await upload({ client: s3, params: { Bucket, Key: 'x', Body: 'small' } }),
      await upload({ client: s3, params: { Bucket, Key: 'x', Body: 'larger than one part' }, partSize: 10, queueSize: 1 }),
    ];
    sdk.S3Client.prototype.send = original;
    return [...seen, sent, await upload({ client: s3, params: { Bucket, Key: 'x', Body: 'small' } })];
  },

  async uploadsTagged(s3, Bucket, sdk) {
    const seen = [];
    for (const Body of ['small', Buffer.alloc(PART + 1, 'x')]) {
      const tags = [
        { Key: 'one', Value: '1 & <2>' },
        { Key: 'empty', Value: '' },
      ];
      seen.push(await upload({ client: s3, params: { Bucket, Key: 'x', Body, ContentType: 'text/plain' }, tags }));
      seen.push(await outcome(() => new sdk.S3Client({}).send(new sdk.GetObjectTaggingCommand({ Bucket, Key: 'x' }))));
    }
    const Tagging = { TagSet: [{ Key: 'by', Value: 'hand' }] };
    seen.push(await outcome(() => s3.send(new sdk.PutObjectTaggingCommand({ Bucket, Key: 'x', Tagging }))));
    return seen;
  },

  async uploadsAsTheyAre(s3, Bucket, sdk) {
    const Upload = storage.Upload;
    /** @type {import('../plain.cjs').Class} */
    const Base = Upload;
    class Mine extends Base {}
    const made = /** @type {any} */ (new Mine({ client: s3, params: { Bucket, Key: 'x', Body: 'x' } }));
    const keys = Object.keys(made);
    const seen = [made.client === s3, made instanceof Upload, made instanceof EventEmitter, await made.done(), keys];
    const { Upload: imported } = await import('@aws-sdk/lib-storage');
    seen.push(
      imported === Upload,
      Object.keys(storage),
      Object.getOwnPropertyNames(Upload.prototype).sort(),
      Upload.MIN_PART_SIZE,
    );
    seen.push(await outcome(() => Upload({})), require('@aws-sdk/lib-storage').Upload === Upload, 'Nothing' in storage);
    const error = await new Upload({ client: s3, params: { Bucket: 'no-such-bucket', Key: 'x', Body: 'x' } })
      .done()
      .catch((/** @type {unknown} */ thrown) => thrown);
    return [...seen, error instanceof sdk.NoSuchBucket];
  },

  async partsByHand(s3, Bucket, sdk) {
    const Key = 'by/hand ü';
    const seen = [];
    const send = async (/** @type {string} */ name, /** @type {object} */ input) => {
      const seenOne = await outcome(() => s3.send(new sdk[`${name}Command`]({ Bucket, Key, ...input })));
      seen.push(name, seenOne);
      return seenOne;
    };
    const ChecksumAlgorithm = 'CRC32';
    const { UploadId } = await s3.send(
      new sdk.CreateMultipartUploadCommand({ Bucket, Key, ContentType: 'text/plain', ChecksumAlgorithm }),
    );
    await send('CreateMultipartUpload', { Metadata: { one: '1' } });
    await send('UploadPart', { UploadId, PartNumber: 1, Body: Buffer.alloc(PART, 'x') });
    const { ETag, ChecksumCRC32 } = await s3.send(
      new sdk.UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 2, Body: 'last' }),
    );
    await send('UploadPart', { UploadId, PartNumber: 3, Body: streamOf('unsized') });
    await send('UploadPart', { UploadId, PartNumber: 3, Body: 'sized', ContentLength: 5 });
    await send('UploadPart', { UploadId, PartNumber: 3, Body: 'x', ChecksumAlgorithm: 'SHA1' });
    await send('UploadPart', { UploadId, PartNumber: 0, Body: 'x' });
    await send('UploadPart', { UploadId, Body: 'x' });
    await send('UploadPart', { PartNumber: 1, Body: 'x' });
    await send('UploadPart', { UploadId: 'unknown', PartNumber: 1, Body: 'x' });
    await send('CompleteMultipartUpload', { UploadId, MultipartUpload: { Parts: [{ PartNumber: 2, ETag: '"wrong"' }] } });
    await send('CompleteMultipartUpload', { UploadId });
    await send('CompleteMultipartUpload', { UploadId, MultipartUpload: { Parts: [] } });
    await send('CompleteMultipartUpload', { UploadId: 'unknown', MultipartUpload: { Parts: [{ PartNumber: 2, ETag }] } });
    const parts = await s3.send(new sdk.ListPartsCommand({ Bucket, Key, UploadId }));
    const first = parts.Parts?.find((/** @type {{ PartNumber: number }} */ { PartNumber }) => PartNumber === 1);
    const Parts = [
      { PartNumber: 1, ETag: first?.ETag, ChecksumCRC32: first?.ChecksumCRC32 },
      { PartNumber: 2, ETag, ChecksumCRC32 },
    ];
    await send('CompleteMultipartUpload', { UploadId, MultipartUpload: { Parts } });
    await send('AbortMultipartUpload', { UploadId });
    await send('AbortMultipartUpload', {});
    const { UploadId: other } = await s3.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key: 'other' }));
    seen.push(await outcome(() => s3.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key: 'other', UploadId: other }))));
    return seen;
  },
};

// Which differs each time.
volatile('UploadId');
if (storage === undefined) {
  Object.keys(CASES)
    .filter((name) => name !== 'partsByHand')
    .forEach((name) => (CASES[name] = () => 'not installed'));
}

module.exports = CASES;
