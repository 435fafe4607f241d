// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of S3. */

/** @typedef {import('./types').RestOperation} Operation */

// Members of outputs: name, header, kind. They are in the order of the service's model.

const CHECKSUMS = /** @type {const} */ ([
  ['ChecksumCRC32', 'x-amz-checksum-crc32', 'string'],
  ['ChecksumCRC32C', 'x-amz-checksum-crc32c', 'string'],
  ['ChecksumCRC64NVME', 'x-amz-checksum-crc64nvme', 'string'],
  ['ChecksumSHA1', 'x-amz-checksum-sha1', 'string'],
  ['ChecksumSHA256', 'x-amz-checksum-sha256', 'string'],
  ['ChecksumType', 'x-amz-checksum-type', 'string'],
]);
const ETAG = /** @type {const} */ (['ETag', 'etag', 'string']);
const EXPIRATION = /** @type {const} */ (['Expiration', 'x-amz-expiration', 'string']);
const VERSION = /** @type {const} */ (['VersionId', 'x-amz-version-id', 'string']);
const DELETE_MARKER = /** @type {const} */ (['DeleteMarker', 'x-amz-delete-marker', 'boolean']);
const CHARGED = /** @type {const} */ (['RequestCharged', 'x-amz-request-charged', 'string']);
const ENCRYPTION = /** @type {const} */ (['ServerSideEncryption', 'x-amz-server-side-encryption', 'string']);
const CUSTOMER_KEY = /** @type {const} */ ([
  ['SSECustomerAlgorithm', 'x-amz-server-side-encryption-customer-algorithm', 'string'],
  ['SSECustomerKeyMD5', 'x-amz-server-side-encryption-customer-key-md5', 'string'],
  ['SSEKMSKeyId', 'x-amz-server-side-encryption-aws-kms-key-id', 'string'],
]);
const CONTEXT = /** @type {const} */ (['SSEKMSEncryptionContext', 'x-amz-server-side-encryption-context', 'string']);
const BUCKET_KEY = /** @type {const} */ (['BucketKeyEnabled', 'x-amz-server-side-encryption-bucket-key-enabled', 'boolean']);
const BEGINNING = /** @type {const} */ ([
  DELETE_MARKER,
  ['AcceptRanges', 'accept-ranges', 'string'],
  EXPIRATION,
  ['Restore', 'x-amz-restore', 'string'],
]);
const SIZE = /** @type {const} */ ([
  ['LastModified', 'last-modified', 'date'],
  ['ContentLength', 'content-length', 'integer'],
]);
const CONTENT = /** @type {const} */ ([
  ['MissingMeta', 'x-amz-missing-meta', 'integer'],
  VERSION,
  ['CacheControl', 'cache-control', 'string'],
  ['ContentDisposition', 'content-disposition', 'string'],
  ['ContentEncoding', 'content-encoding', 'string'],
  ['ContentLanguage', 'content-language', 'string'],
]);
const RANGE = /** @type {const} */ (['ContentRange', 'content-range', 'string']);
const TYPE = /** @type {const} */ (['ContentType', 'content-type', 'string']);
const STATE = /** @type {const} */ ([
  ['WebsiteRedirectLocation', 'x-amz-website-redirect-location', 'string'],
  ENCRYPTION,
  ['Metadata', 'x-amz-meta-', 'prefix'],
  ...CUSTOMER_KEY,
  BUCKET_KEY,
  ['StorageClass', 'x-amz-storage-class', 'string'],
  CHARGED,
  ['ReplicationStatus', 'x-amz-replication-status', 'string'],
  ['PartsCount', 'x-amz-mp-parts-count', 'integer'],
]);

// Members of inputs: where they go to, under which name, and what they must be.

/** @type {Operation['input']} */
const OWNER = {
  RequestPayer: ['header', 'x-amz-request-payer', 'string'],
  ExpectedBucketOwner: ['header', 'x-amz-expected-bucket-owner', 'string'],
};
/** @type {Operation['input']} */
const READING = {
  IfMatch: ['header', 'if-match', 'string'],
  IfModifiedSince: ['header', 'if-modified-since', 'date'],
  IfNoneMatch: ['header', 'if-none-match', 'string'],
  IfUnmodifiedSince: ['header', 'if-unmodified-since', 'date'],
  Range: ['header', 'range', 'string'],
  VersionId: ['query', 'versionId', 'string'],
  PartNumber: ['query', 'partNumber', 'integer'],
  ...OWNER,
};
/** @type {Operation['input']} */
const WRITING = {
  ACL: ['header', 'x-amz-acl', 'string'],
  CacheControl: ['header', 'cache-control', 'string'],
  ContentDisposition: ['header', 'content-disposition', 'string'],
  ContentEncoding: ['header', 'content-encoding', 'string'],
  ContentLanguage: ['header', 'content-language', 'string'],
  ContentType: ['header', 'content-type', 'string'],
  Metadata: ['headers', 'x-amz-meta-', 'string'],
  ServerSideEncryption: ['header', 'x-amz-server-side-encryption', 'string'],
  StorageClass: ['header', 'x-amz-storage-class', 'string'],
  SSEKMSKeyId: ['header', 'x-amz-server-side-encryption-aws-kms-key-id', 'string'],
  BucketKeyEnabled: ['header', 'x-amz-server-side-encryption-bucket-key-enabled', 'boolean'],
  Tagging: ['header', 'x-amz-tagging', 'string'],
  ...OWNER,
};

/**
 * Parameters of which an operation makes nothing: who uploads in parts gives each call all that is said of the object.
 * @param {...string} names
 * @returns {Operation['input']}
 */
function ignored(...names) {
  return Object.fromEntries(names.map((name) => [name, /** @type {const} */ (['nowhere', '', 'string'])]));
}

/** What is said of an object when it is written. */
const SAID = Object.keys(WRITING).filter((name) => !Object.hasOwn(OWNER, name));

/** @type {import('./types').Shape} */
const CHECKSUMS_OF_PARTS = [
  ['ChecksumCRC32', 'string'],
  ['ChecksumCRC32C', 'string'],
  ['ChecksumCRC64NVME', 'string'],
  ['ChecksumSHA1', 'string'],
  ['ChecksumSHA256', 'string'],
];

/** @type {import('./types').Shape} */
const OBJECT = [
  ['Key', 'string'],
  ['LastModified', 'time'],
  ['ETag', 'string'],
  ['ChecksumAlgorithm', 'list', 'ChecksumAlgorithm', 'string'],
  ['ChecksumType', 'string'],
  ['Size', 'integer'],
  ['StorageClass', 'string'],
  [
    'Owner',
    'structure',
    [
      ['DisplayName', 'string'],
      ['ID', 'string'],
    ],
  ],
];

/** @type {Record<string, Operation>} */
const commands = {
  GetObjectCommand: {
    name: 'GetObject',
    isCopied: true,
    method: 'GET',
    query: 'x-id=GetObject',
    hasKey: true,
    input: {
      ...READING,
      ResponseCacheControl: ['query', 'response-cache-control', 'string'],
      ResponseContentDisposition: ['query', 'response-content-disposition', 'string'],
      ResponseContentEncoding: ['query', 'response-content-encoding', 'string'],
      ResponseContentLanguage: ['query', 'response-content-language', 'string'],
      ResponseContentType: ['query', 'response-content-type', 'string'],
    },
    stream: 'Body',
    output: [
      ...BEGINNING,
      ...SIZE,
      ETAG,
      ...CHECKSUMS,
      ...CONTENT,
      RANGE,
      TYPE,
      ...STATE,
      ['TagCount', 'x-amz-tagging-count', 'integer'],
    ],
  },
  HeadObjectCommand: {
    name: 'HeadObject',
    isCopied: true,
    method: 'HEAD',
    hasKey: true,
    input: READING,
    output: [...BEGINNING, ...SIZE, ...CHECKSUMS, ETAG, ...CONTENT, TYPE, RANGE, ...STATE],
  },
  PutObjectCommand: {
    name: 'PutObject',
    isCopied: true,
    method: 'PUT',
    query: 'x-id=PutObject',
    hasKey: true,
    input: {
      ...WRITING,
      IfMatch: ['header', 'if-match', 'string', 729],
      IfNoneMatch: ['header', 'if-none-match', 'string', 729],
      Body: ['body', '', 'string'],
      ContentLength: ['length', '', 'integer'],
      ChecksumAlgorithm: ['checksum', '', 'string'],
    },
    type: 'application/octet-stream',
    output: [
      EXPIRATION,
      ETAG,
      ...CHECKSUMS,
      ENCRYPTION,
      VERSION,
      ...CUSTOMER_KEY,
      CONTEXT,
      BUCKET_KEY,
      ['Size', 'x-amz-object-size', 'integer'],
      CHARGED,
    ],
  },
  DeleteObjectCommand: {
    name: 'DeleteObject',
    method: 'DELETE',
    query: 'x-id=DeleteObject',
    hasKey: true,
    input: { VersionId: ['query', 'versionId', 'string'], MFA: ['header', 'x-amz-mfa', 'string'], ...OWNER },
    output: [DELETE_MARKER, VERSION, CHARGED],
  },
  CopyObjectCommand: {
    name: 'CopyObject',
    isCopied: true,
    method: 'PUT',
    query: 'x-id=CopyObject',
    hasKey: true,
    input: {
      ...WRITING,
      CopySource: ['header', 'x-amz-copy-source', 'string'],
      CopySourceIfMatch: ['header', 'x-amz-copy-source-if-match', 'string'],
      CopySourceIfNoneMatch: ['header', 'x-amz-copy-source-if-none-match', 'string'],
      MetadataDirective: ['header', 'x-amz-metadata-directive', 'string'],
      TaggingDirective: ['header', 'x-amz-tagging-directive', 'string'],
    },
    required: ['CopySource'],
    output: [
      EXPIRATION,
      ['CopySourceVersionId', 'x-amz-copy-source-version-id', 'string'],
      VERSION,
      ENCRYPTION,
      ...CUSTOMER_KEY,
      CONTEXT,
      BUCKET_KEY,
      CHARGED,
    ],
    payload: 'CopyObjectResult',
    document: [
      ['ETag', 'string'],
      ['LastModified', 'time'],
      ['ChecksumType', 'string'],
      ['ChecksumCRC32', 'string'],
      ['ChecksumCRC32C', 'string'],
      ['ChecksumCRC64NVME', 'string'],
      ['ChecksumSHA1', 'string'],
      ['ChecksumSHA256', 'string'],
    ],
  },
  DeleteObjectsCommand: {
    name: 'DeleteObjects',
    method: 'POST',
    query: 'delete=',
    type: 'application/xml',
    // Before that the checksum was another.
    input: { Delete: ['document', 'Delete', 'string', 729], ChecksumAlgorithm: ['checksum', '', 'string'], ...OWNER },
    content: [
      [
        'Objects',
        'list',
        'Object',
        [
          ['Key', 'string'],
          ['VersionId', 'string'],
        ],
      ],
      ['Quiet', 'boolean'],
    ],
    output: [CHARGED],
    document: [
      [
        'Deleted',
        'list',
        'Deleted',
        [
          ['Key', 'string'],
          ['VersionId', 'string'],
          ['DeleteMarker', 'boolean'],
          ['DeleteMarkerVersionId', 'string'],
        ],
      ],
      [
        'Errors',
        'list',
        'Error',
        [
          ['Key', 'string'],
          ['VersionId', 'string'],
          ['Code', 'string'],
          ['Message', 'string'],
        ],
      ],
    ],
  },
  PutObjectTaggingCommand: {
    name: 'PutObjectTagging',
    method: 'PUT',
    query: 'tagging=',
    hasKey: true,
    type: 'application/xml',
    // Before that the checksum was another.
    input: {
      ...ignored(...SAID, 'IfMatch', 'IfNoneMatch', 'Body', 'ContentLength'),
      Tagging: ['document', 'Tagging', 'string', 729],
      VersionId: ['query', 'versionId', 'string'],
      ChecksumAlgorithm: ['checksum', '', 'string'],
      ...OWNER,
    },
    content: [
      [
        'TagSet',
        'list',
        'Tag',
        [
          ['Key', 'string'],
          ['Value', 'string'],
        ],
        true,
      ],
    ],
    output: [VERSION],
  },
  CreateMultipartUploadCommand: {
    name: 'CreateMultipartUpload',
    isCopied: true,
    isFinal: true,
    method: 'POST',
    query: 'uploads=',
    hasKey: true,
    input: {
      ...WRITING,
      ...ignored('IfMatch', 'IfNoneMatch', 'ContentLength'),
      ChecksumAlgorithm: ['header', 'x-amz-checksum-algorithm', 'string'],
    },
    output: [
      ['AbortDate', 'x-amz-abort-date', 'date'],
      ['AbortRuleId', 'x-amz-abort-rule-id', 'string'],
      ENCRYPTION,
      ...CUSTOMER_KEY,
      CONTEXT,
      BUCKET_KEY,
      CHARGED,
      ['ChecksumAlgorithm', 'x-amz-checksum-algorithm', 'string'],
      ['ChecksumType', 'x-amz-checksum-type', 'string'],
      [...VERSION, 'CreateMultipartUploadOutput'],
    ],
    document: [
      ['Bucket', 'string'],
      ['Key', 'string'],
      ['UploadId', 'string'],
    ],
  },
  UploadPartCommand: {
    name: 'UploadPart',
    isCopied: true,
    method: 'PUT',
    query: 'x-id=UploadPart',
    hasKey: true,
    input: {
      ...ignored(...SAID, 'IfMatch', 'IfNoneMatch'),
      PartNumber: ['query', 'partNumber', 'integer'],
      UploadId: ['query', 'uploadId', 'string'],
      Body: ['body', '', 'string'],
      ContentLength: ['length', '', 'integer'],
      ChecksumAlgorithm: ['checksum', '', 'string'],
      ...OWNER,
    },
    required: ['PartNumber', 'UploadId'],
    type: 'application/octet-stream',
    output: [
      ENCRYPTION,
      ETAG,
      ...CHECKSUMS.filter(([name]) => name !== 'ChecksumType'),
      ...CUSTOMER_KEY,
      BUCKET_KEY,
      CHARGED,
      [...VERSION, 'UploadPartOutput'],
    ],
  },
  CompleteMultipartUploadCommand: {
    name: 'CompleteMultipartUpload',
    isCopied: true,
    method: 'POST',
    hasKey: true,
    type: 'application/xml',
    isUnchecked: true,
    isFinal: true,
    input: {
      ...ignored(...SAID, 'ContentLength', 'ChecksumAlgorithm'),
      UploadId: ['query', 'uploadId', 'string'],
      MultipartUpload: ['document', 'CompleteMultipartUpload', 'string'],
      IfMatch: ['header', 'if-match', 'string', 729],
      IfNoneMatch: ['header', 'if-none-match', 'string', 729],
      ...OWNER,
    },
    required: ['UploadId'],
    content: [['Parts', 'list', 'Part', [['ETag', 'string'], ...CHECKSUMS_OF_PARTS, ['PartNumber', 'integer']]]],
    output: [EXPIRATION, ENCRYPTION, VERSION, CUSTOMER_KEY[2], BUCKET_KEY, CHARGED],
    document: [
      ['Location', 'string'],
      ['Bucket', 'string'],
      ['Key', 'string'],
      ['ETag', 'string'],
      ...CHECKSUMS_OF_PARTS,
      ['ChecksumType', 'string'],
    ],
  },
  AbortMultipartUploadCommand: {
    name: 'AbortMultipartUpload',
    method: 'DELETE',
    query: 'x-id=AbortMultipartUpload',
    hasKey: true,
    input: { UploadId: ['query', 'uploadId', 'string'], ...OWNER },
    required: ['UploadId'],
    output: [CHARGED, [...VERSION, 'AbortMultipartUploadOutput']],
  },
  HeadBucketCommand: {
    name: 'HeadBucket',
    method: 'HEAD',
    input: { ExpectedBucketOwner: /** @type {const} */ (['header', 'x-amz-expected-bucket-owner', 'string']) },
    output: [
      ['BucketArn', 'x-amz-bucket-arn', 'string'],
      ['BucketLocationType', 'x-amz-bucket-location-type', 'string'],
      ['BucketLocationName', 'x-amz-bucket-location-name', 'string'],
      ['BucketRegion', 'x-amz-bucket-region', 'string'],
      ['AccessPointAlias', 'x-amz-access-point-alias', 'boolean'],
    ],
  },
  ListObjectsV2Command: {
    name: 'ListObjectsV2',
    method: 'GET',
    query: 'list-type=2',
    input: {
      Delimiter: ['query', 'delimiter', 'string'],
      EncodingType: ['query', 'encoding-type', 'string'],
      MaxKeys: ['query', 'max-keys', 'integer'],
      Prefix: ['query', 'prefix', 'string'],
      ContinuationToken: ['query', 'continuation-token', 'string'],
      FetchOwner: ['query', 'fetch-owner', 'boolean'],
      StartAfter: ['query', 'start-after', 'string'],
      ...OWNER,
    },
    output: [CHARGED],
    document: [
      ['IsTruncated', 'boolean'],
      ['Contents', 'list', 'Contents', OBJECT],
      ['Name', 'string'],
      ['Prefix', 'string'],
      ['Delimiter', 'string'],
      ['MaxKeys', 'integer'],
      ['CommonPrefixes', 'list', 'CommonPrefixes', [['Prefix', 'string']]],
      ['EncodingType', 'string'],
      ['KeyCount', 'integer'],
      ['ContinuationToken', 'string'],
      ['NextContinuationToken', 'string'],
      ['StartAfter', 'string'],
    ],
  },
};

/** @type {import('./types').Service} */
module.exports = {
  signing: 's3',
  client: 'S3Client',
  aggregate: 'S3',
  base: 'S3ServiceException',
  errors: ['S3ServiceException', 'NoSuchBucket', 'NoSuchKey', 'NotFound'],
  commands,
  get protocol() {
    return require('./rest.js');
  },
};
