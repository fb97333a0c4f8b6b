"""The examples of 8-api.md, with what it leaves out (`…`) filled in; each with the schema of the document that it is one of."""

from typing import Final

SINGLE_SEND: Final = (
    '{"recipient": "6591234567", "language": "english", "values": {"name": "Aisha", "clinic": "Bedok"}}'
)
CREATED: Final = (
    '{"createdAt":"2026-11-25T09:30:12.417+08:00","updatedAt":"2026-11-25T09:30:12.417+08:00",'
    '"id":"message_019abc01-7c31-8a52-8d0e-5b1f00000001","recipient":"6591234567","values":{"name":"Aisha","clinic":"Bedok"},'
    '"creatorId":"user_5f0c8a74-3f53-5d0a-8a3c-0b6f1d2e4c11",'
    '"fullMessage":"Ministry of Examples\\n\\n---\\n\\nDear Aisha, …\\n\\n---\\n\\n'
    'This is an automated message sent by the Singapore Government.",'
    '"latestStatus":"created","templateBodyId":"template-body_c9f0f895-fb98-5b91-a59f-1a2b3c4d5e6f",'
    '"campaignId":"campaign_3f6d1f0e-0d0a-4a0e-9d43-5b1b5c8f7a11","language":"english"}'
)
NRIC_RECIPIENT: Final = '{"value": "S0000001I", "type": "nric"}'
NRIC_ERROR: Final = (
    '{"error":{"code":"nric_mobile_not_found","message":"Recipient does not have a mobile number mapping","type":"domain_error",'
    '"id":"8758298681140894082"}}'
)
ACCEPTED_BATCH: Final = '{"isValid":true,"batchId":"batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"}'
REFUSED_BATCH: Final = (
    '{"isValid":false,"reportURL":"https://…","numRows":3,"numErrors":4,"fileHasAvoidableExpensiveCharacter":false,"fileHasUnicode":'
    'true,"errors":[{"row":12,"column":"recipient","code":"recipient_has_plus","text":"remove the +: 6591234567"}]}'
)
PAGE: Final = (
    '{"data":[],"pageData":{"hasNextPage":true,"hasPreviousPage":false,'
    '"startCursor":"WyIyMDI2LTExLTI1VDA5OjMwOjEyLjQxNyswODowMCIsIm1lc3NhZ2VfMGQ5YzMxZTItNGI3Zi04YzU4LTlhNjEtN2UyMDAwMDAwMDAzIl0=",'
    '"endCursor":"WyIyMDI2LTExLTI1VDA5OjMwOjEyLjQxNyswODowMCIsIm1lc3NhZ2VfMGQ5YzMxZTItNGI3Zi04YzU4LTlhNjEtN2UyMDAwMDAwMDAxIl0="}}'
)
UNAUTHORIZED: Final = '{"message":"Unauthorized","statusCode":401}'
DOMAIN_ERROR: Final = (
    '{"error":{"code":"parameter_invalid","message":"…","type":"domain_error","id":"8758298681140894082"}}'
)
HEALTH: Final = '{"status":"ok"}'

# Texts of the contract, byte for byte but for what is filled in, by the schema's name.
VERBATIM: Final = (
    ("SingleSend", SINGLE_SEND),
    ("CreatedMessage", CREATED),
    ("NRICRecipient", NRIC_RECIPIENT),
    ("DomainError", NRIC_ERROR),
    ("AcceptedBatch", ACCEPTED_BATCH),
    ("RefusedBatch", REFUSED_BATCH),
    ("PageOfBatch", PAGE),
    ("PageOfCampaign", PAGE),
    ("RequestError", UNAUTHORIZED),
    ("DomainError", DOMAIN_ERROR),
    ("Health", HEALTH),
)

# The keys that the contract lists in words, in its order (§2.3, §2.4, §2.7).
KEYS: Final = {
    "CreatedMessage": (
        "createdAt updatedAt id recipient values creatorId fullMessage latestStatus templateBodyId campaignId language"
    ),
    "RetriedMessage": (
        "createdAt updatedAt id recipient values creatorId fullMessage latestStatus templateBodyId campaignId"
    ),
    "Message": (
        "createdAt updatedAt id recipient values creatorId fullMessage latestStatus templateBodyId campaignId templateBody "
        "batches language creatorEmail attempts"
    ),
    "TemplateBody": "createdAt updatedAt id templateId language body creatorId",
    "MessageOfBatch": (
        "createdAt updatedAt id recipient values creatorId fullMessage latestStatus templateBodyId campaignId templateBody "
        "messageAttempts language creatorEmail numAttempts"
    ),
    "MessageOfCampaign": (
        "createdAt updatedAt id recipient values creatorId fullMessage latestStatus templateBodyId campaignId templateBody "
        "batches messageAttempts language batchId creatorEmail numAttempts"
    ),
    "Attempt": "status createdAt sentAt deliveredAt error",
    "MessageAttempt": (
        "sentAt deliveredAt createdAt updatedAt id messageId externalAttemptId status errorType errorCode metadata "
        "creatorId creator"
    ),
    "Batch": (
        "createdAt updatedAt id originalFileName status campaignId creatorId totalMessages BatchMessage"
    ),
    "RefusedBatch": (
        "isValid reportURL numRows numErrors fileHasAvoidableExpensiveCharacter fileHasUnicode errorReason errors"
    ),
    "PageData": "hasNextPage hasPreviousPage startCursor endCursor",
    "DomainErrorBody": "code message type id",
    "RequestError": "message statusCode",
}
