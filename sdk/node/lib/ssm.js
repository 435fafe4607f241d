// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of the Systems Manager: its parameters. */

/** @typedef {import('./types').JsonKind} JsonKind */

/** @type {JsonKind} */
const STRINGS = { list: 'string' };

/** @type {import('./types').Structure} */
const PARAMETER = {
  structure: 'Parameter',
  members: {
    Name: 'string',
    Type: 'string',
    Value: 'string',
    Version: 'integer',
    Selector: 'string',
    SourceResult: 'string',
    LastModifiedDate: 'time',
    ARN: 'string',
    DataType: 'string',
  },
};
/** @type {JsonKind} */
const FILTERS = {
  list: { structure: 'ParameterStringFilter', members: { Key: 'string', Option: 'string', Values: STRINGS } },
};
/** @type {JsonKind} */
const TAGS = { list: { structure: 'Tag', members: { Key: 'string', Value: 'string' } } };

/**
 * @param {string} name
 * @param {boolean} isRead
 * @param {Record<string, JsonKind>} input
 * @param {Record<string, JsonKind>} output
 * @returns {import('./types').JsonOperation}
 */
function operation(name, isRead, input, output) {
  return {
    name,
    method: 'POST',
    isRead,
    input: { structure: `${name}Request`, members: input },
    output: { structure: `${name}Result`, members: output },
  };
}

/** @type {import('./types').Service} */
module.exports = {
  signing: 'ssm',
  client: 'SSMClient',
  aggregate: 'SSM',
  base: 'SSMServiceException',
  errors: ['SSMServiceException'],
  refusals: {
    HierarchyTypeMismatchException: {},
    InvalidAllowedPatternException: {},
    InvalidFilterKey: {},
    InvalidFilterOption: {},
    InvalidFilterValue: {},
    InvalidKeyId: {},
    InvalidNextToken: {},
    ParameterAlreadyExists: {},
    ParameterMaxVersionLimitExceeded: {},
    ParameterNotFound: {},
    ParameterPatternMismatchException: {},
    ParameterVersionNotFound: {},
    UnsupportedParameterType: {},
    ValidationException: { ReasonCode: 'string' },
  },
  json: { target: 'AmazonSSM', version: '1.1' },
  commands: {
    GetParameterCommand: operation(
      'GetParameter',
      true,
      { Name: 'string', WithDecryption: 'boolean' },
      { Parameter: PARAMETER },
    ),
    GetParametersCommand: operation(
      'GetParameters',
      true,
      { Names: STRINGS, WithDecryption: 'boolean' },
      { Parameters: { list: PARAMETER }, InvalidParameters: STRINGS },
    ),
    GetParametersByPathCommand: operation(
      'GetParametersByPath',
      true,
      {
        Path: 'string',
        Recursive: 'boolean',
        ParameterFilters: FILTERS,
        WithDecryption: 'boolean',
        MaxResults: 'integer',
        NextToken: 'string',
      },
      { Parameters: { list: PARAMETER }, NextToken: 'string' },
    ),
    PutParameterCommand: operation(
      'PutParameter',
      false,
      {
        Name: 'string',
        Description: 'string',
        Value: 'string',
        Type: 'string',
        KeyId: 'string',
        Overwrite: 'boolean',
        AllowedPattern: 'string',
        Tags: TAGS,
        Tier: 'string',
        Policies: 'string',
        DataType: 'string',
      },
      { Version: 'integer', Tier: 'string' },
    ),
  },
  get protocol() {
    return require('./json.js');
  },
};
