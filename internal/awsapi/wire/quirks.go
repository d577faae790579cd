package wire

import "net/http"

// This file holds what no model says: each entry is a fact about a real service or its clients.

type sharedFault struct {
	code   string
	status int
}

// sharedFaults names the errors that any service may answer, by the name that JSON services give them. Sources: the
// "Common Errors" pages of the API references of IAM and ELB (query), Lambda and ECS (JSON), and "Error responses" of
// Amazon S3. The status of the JSON services is 400 throughout; so it is where a dialect has no entry.
func sharedFaults() map[string]map[dialect]sharedFault {
	const forbidden = http.StatusForbidden
	return map[string]map[dialect]sharedFault{
		"MissingAuthenticationTokenException": {
			dialectREST:  {"MissingAuthenticationTokenException", forbidden},
			dialectQuery: {"MissingAuthenticationToken", forbidden}, dialectS3: {"AccessDenied", forbidden},
		},
		"UnrecognizedClientException": {
			dialectREST:  {"UnrecognizedClientException", forbidden},
			dialectQuery: {"InvalidClientTokenId", forbidden}, dialectS3: {"InvalidAccessKeyId", forbidden},
		},
		"InvalidSignatureException": {
			dialectREST:  {"InvalidSignatureException", forbidden},
			dialectQuery: {"SignatureDoesNotMatch", forbidden}, dialectS3: {"SignatureDoesNotMatch", forbidden},
		},
		"IncompleteSignatureException": {
			dialectREST:  {"IncompleteSignatureException", forbidden},
			dialectQuery: {"IncompleteSignature", http.StatusBadRequest}, dialectS3: {"AuthorizationHeaderMalformed", http.StatusBadRequest},
		},
		"ExpiredTokenException": {
			dialectREST:  {"ExpiredTokenException", forbidden},
			dialectQuery: {"ExpiredToken", forbidden}, dialectS3: {"ExpiredToken", http.StatusBadRequest},
		},
		"AccessDeniedException": {
			dialectREST:  {"AccessDeniedException", forbidden},
			dialectQuery: {"AccessDenied", forbidden}, dialectS3: {"AccessDenied", forbidden},
		},
		"SerializationException": {
			dialectQuery: {"MalformedInput", http.StatusBadRequest}, dialectS3: {"MalformedXML", http.StatusBadRequest},
		},
		"ValidationException": {
			dialectQuery: {"ValidationError", http.StatusBadRequest}, dialectS3: {"InvalidArgument", http.StatusBadRequest},
		},
		"UnknownOperationException": {
			dialectREST:  {"UnknownOperationException", http.StatusNotFound},
			dialectQuery: {"InvalidAction", http.StatusBadRequest}, dialectS3: {"NotImplemented", http.StatusNotImplemented},
		},
		"RequestEntityTooLargeException": {
			dialectJSON:  {"RequestEntityTooLargeException", http.StatusRequestEntityTooLarge},
			dialectREST:  {"RequestTooLargeException", http.StatusRequestEntityTooLarge},
			dialectQuery: {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge}, dialectS3: {"EntityTooLarge", http.StatusBadRequest},
		},
		"InternalFailure": {
			dialectJSON:  {"InternalFailure", http.StatusInternalServerError},
			dialectREST:  {"InternalFailure", http.StatusInternalServerError},
			dialectQuery: {"InternalFailure", http.StatusInternalServerError}, dialectS3: {"InternalError", http.StatusInternalServerError},
		},
		"ThrottlingException": {
			dialectREST:  {"TooManyRequestsException", http.StatusTooManyRequests},
			dialectQuery: {"Throttling", http.StatusBadRequest}, dialectS3: {"SlowDown", http.StatusServiceUnavailable},
		},
		"ServiceUnavailableException": {
			dialectJSON:  {"ServiceUnavailableException", http.StatusServiceUnavailable},
			dialectREST:  {"ServiceUnavailableException", http.StatusServiceUnavailable},
			dialectQuery: {"ServiceUnavailable", http.StatusServiceUnavailable}, dialectS3: {"ServiceUnavailable", http.StatusServiceUnavailable},
		},
	}
}

// xmlRoot is the name of the element around an S3 answer. Clients do not look at it, people do. (API reference of S3.)
func xmlRoot(operation string) string {
	root, ok := map[string]string{
		"ListBuckets": "ListAllMyBucketsResult", "ListObjects": "ListBucketResult", "ListObjectsV2": "ListBucketResult",
		"DeleteObjects": "DeleteResult", "GetBucketLocation": locationRoot, "CreateMultipartUpload": "InitiateMultipartUploadResult",
	}[operation]
	if !ok {
		return operation + "Result"
	}
	return root
}

// locationRoot: GetBucketLocation answers its only member as the text of the document itself.
const locationRoot = "LocationConstraint"

// IsSubresource reports whether a parameter of a query string names a part of an S3 bucket or object (its ACL, its
// policy). A request for one that no operation has in its path must not be taken for one of the whole.
func IsSubresource(name string) bool {
	switch name {
	case "abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory",
		"legal-hold", "lifecycle", "location", "logging", "metadataConfiguration", "metadataTable", "metrics", "notification", "object-lock",
		"ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment", "restore",
		"retention", "select", "session", "tagging", "torrent", "uploads", "versioning", "versions", "website":
		return true
	}
	return false
}
