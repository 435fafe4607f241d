// SPDX-License-Identifier: Apache-2.0
//! Keys in lists as they were asked for: encoded, where a client says that it decodes them.
//!
//! `s3s-fs` says that they are and leaves them as they are. A client then takes a plus sign for a space, and goes on from a key that
//! there is not.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput,
    CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, EncodingType, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    Object, PutObjectInput, PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

/// What S3 leaves as it is; a space becomes a plus sign.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

/// A store whose lists are encoded when they say so.
#[derive(Debug)]
pub(super) struct Listing<S>(pub(super) S);

/// The other operations that the store has.
macro_rules! passed_on {
    ($($operation:ident: $input:ident -> $output:ident),* $(,)?) => {
        #[async_trait::async_trait]
        impl<S: S3> S3 for Listing<S> {
            $(async fn $operation(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.0.$operation(request).await
            })*

            async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
                let mut response = self.0.list_objects(request).await?;
                let output = &mut response.output;
                if is_encoded(output.encoding_type.as_ref()) {
                    for text in [&mut output.prefix, &mut output.delimiter, &mut output.marker, &mut output.next_marker] {
                        encode(text);
                    }
                    encode_found(output.contents.as_mut(), output.common_prefixes.as_mut());
                }
                Ok(response)
            }

            async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
                let mut response = self.0.list_objects_v2(request).await?;
                let output = &mut response.output;
                if is_encoded(output.encoding_type.as_ref()) {
                    for text in [&mut output.prefix, &mut output.delimiter, &mut output.start_after] {
                        encode(text);
                    }
                    encode_found(output.contents.as_mut(), output.common_prefixes.as_mut());
                }
                Ok(response)
            }
        }
    };
}

passed_on! {
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput,
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput,
    copy_object: CopyObjectInput -> CopyObjectOutput,
    create_bucket: CreateBucketInput -> CreateBucketOutput,
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput,
    delete_bucket: DeleteBucketInput -> DeleteBucketOutput,
    delete_object: DeleteObjectInput -> DeleteObjectOutput,
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput,
    get_bucket_location: GetBucketLocationInput -> GetBucketLocationOutput,
    get_object: GetObjectInput -> GetObjectOutput,
    head_bucket: HeadBucketInput -> HeadBucketOutput,
    head_object: HeadObjectInput -> HeadObjectOutput,
    list_buckets: ListBucketsInput -> ListBucketsOutput,
    list_parts: ListPartsInput -> ListPartsOutput,
    put_object: PutObjectInput -> PutObjectOutput,
    upload_part: UploadPartInput -> UploadPartOutput,
    upload_part_copy: UploadPartCopyInput -> UploadPartCopyOutput,
}

fn is_encoded(encoding: Option<&EncodingType>) -> bool {
    encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL)
}

fn encode_found(objects: Option<&mut Vec<Object>>, prefixes: Option<&mut Vec<CommonPrefix>>) {
    for object in objects.into_iter().flatten() {
        encode(&mut object.key);
    }
    for common in prefixes.into_iter().flatten() {
        encode(&mut common.prefix);
    }
}

fn encode(text: &mut Option<String>) {
    if let Some(text) = text {
        *text = utf8_percent_encode(text, ENCODED)
            .to_string()
            .replace(' ', "+");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_s3_does() {
        let mut key = Some("a/b-_.*~ c+%2F\u{e4}\u{1}".to_owned());
        encode(&mut key);
        assert_eq!(key.as_deref(), Some("a/b-_.*%7E+c%2B%252F%C3%A4%01"));
    }
}
