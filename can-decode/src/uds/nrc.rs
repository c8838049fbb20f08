//! Negative response codes.

/// Why a server refused (NRC, ISO 14229-1:2020 Annex A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nrc(pub u8);

/// Sorted by number; names without the standard's blanks, hyphens and slashes.
#[rustfmt::skip]
const CODES: [(u8, &str); 60] = [
    (0x10, "GeneralReject"),
    (0x11, "ServiceNotSupported"),
    (0x12, "SubFunctionNotSupported"),
    (0x13, "IncorrectMessageLengthOrInvalidFormat"),
    (0x14, "ResponseTooLong"),
    (0x21, "BusyRepeatRequest"),
    (0x22, "ConditionsNotCorrect"),
    (0x24, "RequestSequenceError"),
    (0x25, "NoResponseFromSubnetComponent"),
    (0x26, "FailurePreventsExecutionOfRequestedAction"),
    (0x31, "RequestOutOfRange"),
    (0x33, "SecurityAccessDenied"),
    (0x34, "AuthenticationRequired"),
    (0x35, "InvalidKey"),
    (0x36, "ExceedNumberOfAttempts"),
    (0x37, "RequiredTimeDelayNotExpired"),
    (0x38, "SecureDataTransmissionRequired"),
    (0x39, "SecureDataTransmissionNotAllowed"),
    (0x3A, "SecureDataVerificationFailed"),
    (0x50, "CertificateVerificationFailedInvalidTimePeriod"),
    (0x51, "CertificateVerificationFailedInvalidSignature"),
    (0x52, "CertificateVerificationFailedInvalidChainOfTrust"),
    (0x53, "CertificateVerificationFailedInvalidType"),
    (0x54, "CertificateVerificationFailedInvalidFormat"),
    (0x55, "CertificateVerificationFailedInvalidContent"),
    (0x56, "CertificateVerificationFailedInvalidScope"),
    (0x57, "CertificateVerificationFailedInvalidCertificate"),
    (0x58, "OwnershipVerificationFailed"),
    (0x59, "ChallengeCalculationFailed"),
    (0x5A, "SettingAccessRightsFailed"),
    (0x5B, "SessionKeyCreationDerivationFailed"),
    (0x5C, "ConfigurationDataUsageFailed"),
    (0x5D, "DeAuthenticationFailed"),
    (0x70, "UploadDownloadNotAccepted"),
    (0x71, "TransferDataSuspended"),
    (0x72, "GeneralProgrammingFailure"),
    (0x73, "WrongBlockSequenceCounter"),
    (0x78, "RequestCorrectlyReceivedResponsePending"),
    (0x7E, "SubFunctionNotSupportedInActiveSession"),
    (0x7F, "ServiceNotSupportedInActiveSession"),
    (0x81, "RpmTooHigh"),
    (0x82, "RpmTooLow"),
    (0x83, "EngineIsRunning"),
    (0x84, "EngineIsNotRunning"),
    (0x85, "EngineRunTimeTooLow"),
    (0x86, "TemperatureTooHigh"),
    (0x87, "TemperatureTooLow"),
    (0x88, "VehicleSpeedTooHigh"),
    (0x89, "VehicleSpeedTooLow"),
    (0x8A, "ThrottlePedalTooHigh"),
    (0x8B, "ThrottlePedalTooLow"),
    (0x8C, "TransmissionRangeNotInNeutral"),
    (0x8D, "TransmissionRangeNotInGear"),
    (0x8F, "BrakeSwitchNotClosed"),
    (0x90, "ShifterLeverNotInPark"),
    (0x91, "TorqueConverterClutchLocked"),
    (0x92, "VoltageTooHigh"),
    (0x93, "VoltageTooLow"),
    (0x94, "ResourceTemporarilyNotAvailable"),
    // One name for the whole range stands at its beginning.
    (0xF0, "VehicleManufacturerSpecificConditionsNotCorrect"),
];

impl Nrc {
    /// The request is accepted, the response comes later (`requestCorrectlyReceived-ResponsePending`).
    pub const RESPONSE_PENDING: Self = Self(0x78);

    /// Its name, if the standard gives it one.
    pub fn name(self) -> Option<&'static str> {
        const MANUFACTURER: core::ops::RangeInclusive<u8> = 0xF0..=0xFE;
        let number = if MANUFACTURER.contains(&self.0) { *MANUFACTURER.start() } else { self.0 };
        let at = CODES.binary_search_by_key(&number, |code| code.0).ok()?;
        CODES.get(at).map(|code| code.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_the_manufacturers_range_has_one_name() {
        assert!(CODES.is_sorted_by(|first, second| first.0 < second.0));
        for (number, name) in CODES {
            assert_eq!(Nrc(number).name(), Some(name));
        }
        assert_eq!(Nrc(0xFE).name(), Nrc(0xF0).name());
        for unnamed in [0, 0x23, 0x95, 0xEF, 0xFF] {
            assert_eq!(Nrc(unnamed).name(), None, "{unnamed:02X}");
        }
    }
}
