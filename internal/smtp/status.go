package smtp

// Reply codes that servers use (RFC 5321 4.2.3, RFC 4954 6, RFC 7504, RFC 3207).
const (
	CodeInvalidResponse             = -1 // what came was no reply
	CodeSystemStatusOK              = 211
	CodeHelpMessage                 = 214
	CodeReady                       = 220
	CodeClosing                     = 221
	CodeAuthSuccessful              = 235
	CodeCompleted                   = 250
	CodeWillForward                 = 251
	CodeCannotVRFY                  = 252
	CodeAuthContinue                = 334
	CodeStartInput                  = 354
	CodeServiceNotAvailable         = 421
	CodeMailboxUnavailable          = 450
	CodeErrorProcessing             = 451
	CodeInsufficientStorage         = 452
	CodeTLSNotAvailable             = 454
	CodeUnrecognizedCommand         = 500
	CodeUnrecognizedParameters      = 501
	CodeCommandNotImplemented       = 502
	CodeBadCommandSequence          = 503
	CodeParameterNotImplemented     = 504
	CodeDomainDoesNotAcceptMail     = 521
	CodeAccountDisabled             = 525
	CodeAccessDenied                = 530
	CodeAuthFailed                  = 535
	CodeMailboxDoesNotExist         = 550
	CodeUserNotLocal                = 551
	CodeStorageExceeded             = 552
	CodeMailboxNameInvalid          = 553
	CodeTransactionFailed           = 554
	CodeMailRcptParametersNotStated = 555
)
