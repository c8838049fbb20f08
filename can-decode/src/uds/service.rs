//! Services by their number: what they are called, and what stands behind the number.

/// Which standard gives a service its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// On-board diagnostics (SAE J1979, ISO 15031-5): modes `01` to `0A`.
    Obd,
    /// Unified Diagnostic Services (ISO 14229-1:2020).
    Uds,
    /// Keyword Protocol 2000 (ISO 14230-3), older, where UDS leaves the number free.
    Kwp2000,
}

impl Protocol {
    /// `obd`, `uds` or `kwp2000`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Obd => "obd",
            Self::Uds => "uds",
            Self::Kwp2000 => "kwp2000",
        }
    }
}

/// What a service's identifier names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierKind {
    /// Data identifier (DID), 16 bits.
    Data,
    /// Routine identifier (RID), 16 bits.
    Routine,
    /// Parameter, test, monitor or information type of OBD (PID, TID, MID, INFOTYPE), 8 bits.
    Parameter,
    /// Local identifier of KWP2000, 8 bits.
    Local,
}

impl IdentifierKind {
    /// `did`, `rid`, `pid` or `lid`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "did",
            Self::Routine => "rid",
            Self::Parameter => "pid",
            Self::Local => "lid",
        }
    }

    /// Bytes of one.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Data | Self::Routine => 2,
            Self::Parameter | Self::Local => 1,
        }
    }
}

/// What stands behind the service's number, in requests and positive responses alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// A sub-function, whose top bit in a request suppresses the positive response.
    pub(super) sub_function: bool,
    /// An identifier, behind the sub-function if there is one.
    pub(super) identifier: Option<IdentifierKind>,
    /// Whether a request may hold several identifiers and nothing else.
    pub(super) several: bool,
}

const PLAIN: Layout = Layout { sub_function: false, identifier: None, several: false };
const SUB: Layout = Layout { sub_function: true, ..PLAIN };
const DID: Layout = Layout { identifier: Some(IdentifierKind::Data), ..PLAIN };
const DIDS: Layout = Layout { several: true, ..DID };
const SUB_DID: Layout = Layout { sub_function: true, ..DID };
const SUB_RID: Layout = Layout { identifier: Some(IdentifierKind::Routine), ..SUB };
const PID: Layout = Layout { identifier: Some(IdentifierKind::Parameter), ..PLAIN };
const PIDS: Layout = Layout { several: true, ..PID };
const LID: Layout = Layout { identifier: Some(IdentifierKind::Local), ..PLAIN };

type Row = (u8, &'static str, Protocol, Layout);

/// Sorted by number. The names are those of the standards without their blanks and slashes; J1979's are shortened.
#[rustfmt::skip]
const SERVICES: [Row; 53] = [
    (0x01, "RequestCurrentPowertrainDiagnosticData", Protocol::Obd, PIDS),
    (0x02, "RequestPowertrainFreezeFrameData", Protocol::Obd, PID),
    (0x03, "RequestEmissionRelatedDtcs", Protocol::Obd, PLAIN),
    (0x04, "ClearEmissionRelatedDiagnosticInformation", Protocol::Obd, PLAIN),
    (0x05, "RequestOxygenSensorMonitoringTestResults", Protocol::Obd, PID),
    (0x06, "RequestOnBoardMonitoringTestResults", Protocol::Obd, PIDS),
    (0x07, "RequestPendingDtcs", Protocol::Obd, PLAIN),
    (0x08, "RequestControlOfOnBoardSystem", Protocol::Obd, PID),
    (0x09, "RequestVehicleInformation", Protocol::Obd, PIDS),
    (0x0A, "RequestPermanentDtcs", Protocol::Obd, PLAIN),
    (0x10, "DiagnosticSessionControl", Protocol::Uds, SUB),
    (0x11, "ECUReset", Protocol::Uds, SUB),
    (0x14, "ClearDiagnosticInformation", Protocol::Uds, PLAIN),
    (0x17, "ReadStatusOfDiagnosticTroubleCodes", Protocol::Kwp2000, PLAIN),
    (0x18, "ReadDiagnosticTroubleCodesByStatus", Protocol::Kwp2000, PLAIN),
    (0x19, "ReadDTCInformation", Protocol::Uds, SUB),
    (0x1A, "ReadECUIdentification", Protocol::Kwp2000, LID),
    (0x20, "StopDiagnosticSession", Protocol::Kwp2000, PLAIN),
    (0x21, "ReadDataByLocalIdentifier", Protocol::Kwp2000, LID),
    (0x22, "ReadDataByIdentifier", Protocol::Uds, DIDS),
    (0x23, "ReadMemoryByAddress", Protocol::Uds, PLAIN),
    (0x24, "ReadScalingDataByIdentifier", Protocol::Uds, DID),
    (0x27, "SecurityAccess", Protocol::Uds, SUB),
    (0x28, "CommunicationControl", Protocol::Uds, SUB),
    (0x29, "Authentication", Protocol::Uds, SUB),
    (0x2A, "ReadDataByPeriodicIdentifier", Protocol::Uds, PLAIN),
    (0x2C, "DynamicallyDefineDataIdentifier", Protocol::Uds, SUB_DID),
    (0x2E, "WriteDataByIdentifier", Protocol::Uds, DID),
    (0x2F, "InputOutputControlByIdentifier", Protocol::Uds, DID),
    (0x30, "InputOutputControlByLocalIdentifier", Protocol::Kwp2000, LID),
    (0x31, "RoutineControl", Protocol::Uds, SUB_RID),
    (0x32, "StopRoutineByLocalIdentifier", Protocol::Kwp2000, LID),
    (0x33, "RequestRoutineResultsByLocalIdentifier", Protocol::Kwp2000, LID),
    (0x34, "RequestDownload", Protocol::Uds, PLAIN),
    (0x35, "RequestUpload", Protocol::Uds, PLAIN),
    (0x36, "TransferData", Protocol::Uds, PLAIN),
    (0x37, "RequestTransferExit", Protocol::Uds, PLAIN),
    (0x38, "RequestFileTransfer", Protocol::Uds, PLAIN),
    (0x3B, "WriteDataByLocalIdentifier", Protocol::Kwp2000, LID),
    (0x3D, "WriteMemoryByAddress", Protocol::Uds, PLAIN),
    (0x3E, "TesterPresent", Protocol::Uds, SUB),
    (0x81, "StartCommunication", Protocol::Kwp2000, PLAIN),
    (0x82, "StopCommunication", Protocol::Kwp2000, PLAIN),
    (0x83, "AccessTimingParameter", Protocol::Uds, SUB),
    (0x84, "SecuredDataTransmission", Protocol::Uds, PLAIN),
    (0x85, "ControlDTCSetting", Protocol::Uds, SUB),
    (0x86, "ResponseOnEvent", Protocol::Uds, SUB),
    (0x87, "LinkControl", Protocol::Uds, SUB),
    (0xBA, "SystemSupplierSpecific", Protocol::Uds, PLAIN),
    (0xBB, "SystemSupplierSpecific", Protocol::Uds, PLAIN),
    (0xBC, "SystemSupplierSpecific", Protocol::Uds, PLAIN),
    (0xBD, "SystemSupplierSpecific", Protocol::Uds, PLAIN),
    (0xBE, "SystemSupplierSpecific", Protocol::Uds, PLAIN),
];

/// A service's number as in its request (SID); that of its positive response is `0x40` higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(pub u8);

impl Service {
    /// Its name, if a standard gives it one.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.1)
    }

    /// The standard it is named by.
    pub fn protocol(self) -> Option<Protocol> {
        self.row().map(|row| row.2)
    }

    pub(super) fn layout(self) -> Layout {
        self.row().map_or(PLAIN, |row| row.3)
    }

    fn row(self) -> Option<&'static Row> {
        let at = SERVICES.binary_search_by_key(&self.0, |row| row.0).ok()?;
        SERVICES.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_sorted_and_never_look_like_responses() {
        assert!(SERVICES.is_sorted_by(|first, second| first.0 < second.0));
        for (number, name, ..) in SERVICES {
            assert_eq!(Service(number).name(), Some(name));
            assert_eq!(number & 0x40, 0, "{name}: bit 6 marks a response");
        }
        assert_eq!((Service(0).name(), Service(0x7F).name(), Service(0xFF).name()), (None, None, None));
    }
}
