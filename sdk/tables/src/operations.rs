// SPDX-License-Identifier: Apache-2.0
//! Which operations there are tables of.

pub(crate) type Names = &'static [&'static str];

/// An operation, and what botocore does for it that its model does not say.
pub(crate) struct Entry {
    /// Python's name of it.
    pub(crate) python: &'static str,
    /// The model's.
    pub(crate) name: &'static str,
    /// Parameters of the query that botocore gives a value by itself.
    pub(crate) query: Names,
    /// What it decodes in the result: members, and members of the structures in a list.
    pub(crate) decoded: Option<(Names, &'static [(&'static str, &'static str)])>,
}

impl Entry {
    const fn of(python: &'static str, name: &'static str) -> Self {
        Self {
            python,
            name,
            query: &[],
            decoded: None,
        }
    }
}

/// Those of a service.
pub(crate) fn of(service: &str) -> &'static [Entry] {
    match service {
        "s3" => S3,
        "dynamodb" => DYNAMODB,
        "lambda" => LAMBDA,
        "secretsmanager" => SECRETSMANAGER,
        "sns" => SNS,
        "sqs" => SQS,
        "ssm" => SSM,
        _ => &[],
    }
}

const S3: &[Entry] = &[
    Entry::of("get_object", "GetObject"),
    Entry::of("put_object", "PutObject"),
    Entry::of("head_object", "HeadObject"),
    Entry::of("delete_object", "DeleteObject"),
    Entry::of("delete_objects", "DeleteObjects"),
    Entry::of("copy_object", "CopyObject"),
    Entry::of("head_bucket", "HeadBucket"),
    Entry::of("get_object_tagging", "GetObjectTagging"),
    Entry::of("put_object_tagging", "PutObjectTagging"),
    Entry::of("delete_object_tagging", "DeleteObjectTagging"),
    Entry::of("create_multipart_upload", "CreateMultipartUpload"),
    Entry::of("upload_part", "UploadPart"),
    Entry::of("complete_multipart_upload", "CompleteMultipartUpload"),
    Entry::of("abort_multipart_upload", "AbortMultipartUpload"),
    Entry::of("list_parts", "ListParts"),
    Entry {
        query: &["encoding-type=url"],
        decoded: Some((
            &["Prefix", "Delimiter", "StartAfter"],
            &[("Contents", "Key"), ("CommonPrefixes", "Prefix")],
        )),
        ..Entry::of("list_objects_v2", "ListObjectsV2")
    },
    Entry {
        query: &["encoding-type=url"],
        // Not the prefix, though the store encodes it: botocore forgets it.
        decoded: Some((
            &["Marker", "NextMarker", "Delimiter"],
            &[("Contents", "Key"), ("CommonPrefixes", "Prefix")],
        )),
        ..Entry::of("list_objects", "ListObjects")
    },
    Entry {
        query: &["encoding-type=url"],
        decoded: Some((
            &["KeyMarker", "NextKeyMarker", "Prefix", "Delimiter"],
            &[
                ("Versions", "Key"),
                ("DeleteMarkers", "Key"),
                ("CommonPrefixes", "Prefix"),
            ],
        )),
        ..Entry::of("list_object_versions", "ListObjectVersions")
    },
];

const DYNAMODB: &[Entry] = &[
    Entry::of("batch_get_item", "BatchGetItem"),
    Entry::of("batch_write_item", "BatchWriteItem"),
    Entry::of("delete_item", "DeleteItem"),
    Entry::of("get_item", "GetItem"),
    Entry::of("put_item", "PutItem"),
    Entry::of("query", "Query"),
    Entry::of("scan", "Scan"),
    Entry::of("transact_get_items", "TransactGetItems"),
    Entry::of("update_item", "UpdateItem"),
];

const LAMBDA: &[Entry] = &[Entry::of("invoke", "Invoke")];

const SECRETSMANAGER: &[Entry] = &[Entry::of("get_secret_value", "GetSecretValue")];

const SNS: &[Entry] = &[
    Entry::of("publish", "Publish"),
    Entry::of("publish_batch", "PublishBatch"),
];

const SQS: &[Entry] = &[
    Entry::of("change_message_visibility", "ChangeMessageVisibility"),
    Entry::of("delete_message", "DeleteMessage"),
    Entry::of("delete_message_batch", "DeleteMessageBatch"),
    Entry::of("get_queue_attributes", "GetQueueAttributes"),
    Entry::of("get_queue_url", "GetQueueUrl"),
    Entry::of("receive_message", "ReceiveMessage"),
    Entry::of("send_message", "SendMessage"),
    Entry::of("send_message_batch", "SendMessageBatch"),
];

const SSM: &[Entry] = &[
    Entry::of("get_parameter", "GetParameter"),
    Entry::of("get_parameters", "GetParameters"),
    Entry::of("get_parameters_by_path", "GetParametersByPath"),
    Entry::of("put_parameter", "PutParameter"),
];
