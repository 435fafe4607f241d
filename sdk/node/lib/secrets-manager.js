// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of Secrets Manager. */

/** @type {import('./types').JsonOperation} */
const GetSecretValueCommand = {
  name: 'GetSecretValue',
  method: 'POST',
  isRead: true,
  input: {
    structure: 'GetSecretValueRequest',
    members: { SecretId: 'string', VersionId: 'string', VersionStage: 'string' },
  },
  output: {
    structure: 'GetSecretValueResponse',
    members: {
      ARN: 'string',
      Name: 'string',
      VersionId: 'string',
      SecretBinary: 'blob',
      SecretString: 'string',
      VersionStages: { list: 'string' },
      CreatedDate: 'time',
    },
  },
};

/** @type {import('./types').Service} */
module.exports = {
  signing: 'secretsmanager',
  client: 'SecretsManagerClient',
  aggregate: 'SecretsManager',
  base: 'SecretsManagerServiceException',
  errors: ['SecretsManagerServiceException'],
  refusals: {
    DecryptionFailure: {},
    InvalidParameterException: {},
    InvalidRequestException: {},
    ResourceNotFoundException: {},
    ValidationException: {},
  },
  json: { target: 'secretsmanager', version: '1.1' },
  commands: { GetSecretValueCommand },
  get protocol() {
    return require('./json.js');
  },
};
