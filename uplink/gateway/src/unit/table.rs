//! The units that DBC files use, as data.

/// One unit: its UCUM code, the words that Prometheus names end with, and how DBC files write it.
pub(super) struct Row {
    /// Code of the Unified Code for Units of Measure, which OpenTelemetry's `unit` fields hold.
    pub(super) ucum: &'static str,
    /// Words for the end of a Prometheus name.
    pub(super) words: &'static str,
    /// Texts where capitals matter: `mV` is not `MV`.
    pub(super) exact: &'static [&'static str],
    /// Texts that mean the same in any case; written in lower case here.
    pub(super) any_case: &'static [&'static str],
}

const fn row(
    ucum: &'static str,
    words: &'static str,
    exact: &'static [&'static str],
    any_case: &'static [&'static str],
) -> Row {
    Row { ucum, words, exact, any_case }
}

/// Every unit that is known. Texts stand here as [`super::plain`] leaves them: no `^`, `²` or `·`, `u` for micro.
pub(super) const UNITS: &[Row] = &[
    // Nothing to say: a count, a state or a plain number. `SED` is SAE J1939's "state encoded".
    row(
        "",
        "",
        &["1", "-", "--"],
        &["unitless", "none", "n/a", "no unit", "sed", "bool", "boolean", "enum", "ascii"],
    ),
    row("1", "ratio", &[], &["ratio"]),
    row("%", "percent", &["%"], &["percent", "pct", "unit_percent"]),
    row("[ppm]", "ppm", &[], &["ppm"]),
    // Speed and acceleration.
    row("km/h", "kilometers_per_hour", &[], &["km/h", "kph", "kmh", "kmph", "unit_kilometerperhour"]),
    row("m/s", "meters_per_second", &["m/s", "m/sec"], &["mps"]),
    row("[mi_i]/h", "miles_per_hour", &[], &["mph", "mi/h", "miles/h"]),
    row("[kn_i]", "knots", &["kn", "kt", "kts"], &["knot", "knots"]),
    row("m/s2", "meters_per_second_squared", &["m/s2", "m/s/s", "m/sec2"], &["unit_meterperseconsquar"]),
    row("m/s3", "meters_per_second_cubed", &["m/s3"], &[]),
    // Temperature.
    row(
        "Cel",
        "celsius",
        &["C", "°C"],
        &["degc", "deg c", "°c", "celsius", "degrees c", "deg celsius", "unit_degrecelsi"],
    ),
    row("[degF]", "fahrenheit", &["F", "°F"], &["degf", "deg f", "°f", "fahrenheit"]),
    row("K", "kelvin", &["K"], &["kelvin", "degk"]),
    // Angle and rotation. OpenTelemetry's conventions write revolutions per minute as `rpm` (hw.fan.speed).
    row("deg", "degrees", &["°"], &["deg", "degree", "degrees", "unit_degreofarc"]),
    row("rad", "radians", &["rad"], &["radian", "radians"]),
    row("deg/s", "degrees_per_second", &["°/s"], &["deg/s", "deg/sec", "degrees/s", "degree/s", "dps"]),
    row("rad/s", "radians_per_second", &["rad/s"], &["rad/sec"]),
    row("deg/s2", "degrees_per_second_squared", &["°/s2"], &["deg/s2"]),
    row("rad/s2", "radians_per_second_squared", &["rad/s2"], &[]),
    row("rpm", "rpm", &[], &["rpm", "1/min", "u/min", "rev/min", "r/min", "min-1", "unit_minutinver"]),
    // Electricity.
    row("V", "volts", &["V"], &["volt", "volts", "unit_volt"]),
    row("mV", "millivolts", &["mV"], &["millivolt", "millivolts"]),
    row("kV", "kilovolts", &["kV"], &["kilovolt", "kilovolts"]),
    row("A", "amperes", &["A"], &["amp", "amps", "ampere", "amperes", "unit_amper"]),
    row("mA", "milliamperes", &["mA"], &["milliamp", "milliamps", "milliampere", "milliamperes"]),
    row("W", "watts", &["W"], &["watt", "watts"]),
    row("kW", "kilowatts", &["kW", "KW"], &["kilowatt", "kilowatts"]),
    row("V.A", "volt_amperes", &["VA"], &[]),
    row("W.h", "watt_hours", &["Wh"], &["watt hours"]),
    row("kW.h", "kilowatt_hours", &[], &["kwh", "kilowatt hours"]),
    row("A.h", "ampere_hours", &["Ah"], &["amp hours"]),
    row("mA.h", "milliampere_hours", &["mAh"], &[]),
    row("Ohm", "ohms", &["Ω"], &["ohm", "ohms", "unit_ohm"]),
    row("kOhm", "kiloohms", &["kΩ"], &["kohm", "kohms"]),
    row("mOhm", "milliohms", &["mΩ", "mOhm"], &[]),
    row("J", "joules", &["J"], &["joule", "joules"]),
    row("kJ", "kilojoules", &["kJ"], &[]),
    row("Wb", "webers", &["Wb"], &[]),
    // Force, torque and pressure.
    row("N", "newtons", &["N"], &["newton", "newtons"]),
    row("kN", "kilonewtons", &["kN"], &[]),
    row("N.m", "newton_meters", &["Nm", "N.m", "N-m"], &["newton meter", "newton meters", "unit_newtometer"]),
    row("bar", "bar", &[], &["bar", "unit_bar"]),
    row("mbar", "millibar", &[], &["mbar"]),
    row("Pa", "pascals", &["Pa"], &["pascal", "pascals"]),
    row("hPa", "hectopascals", &["hPa"], &[]),
    row("kPa", "kilopascals", &[], &["kpa", "kilopascal", "kilopascals"]),
    row("MPa", "megapascals", &["MPa"], &[]),
    row("[psi]", "psi", &[], &["psi"]),
    // Time.
    row("s", "seconds", &["s"], &["sec", "secs", "second", "seconds", "unit_secon"]),
    row("ms", "milliseconds", &["ms"], &["msec", "millisecond", "milliseconds"]),
    row("us", "microseconds", &["us"], &["usec", "microsecond", "microseconds"]),
    row("ns", "nanoseconds", &["ns"], &["nanosecond", "nanoseconds"]),
    row("min", "minutes", &[], &["min", "mins", "minute", "minutes"]),
    row("h", "hours", &["h"], &["hr", "hrs", "hour", "hours"]),
    row("d", "days", &["d"], &["day", "days"]),
    row("mo", "months", &[], &["month", "months", "unit_month"]),
    row("a", "years", &[], &["year", "years"]),
    // Length, mass and volume.
    row("m", "meters", &["m"], &["meter", "meters", "metre", "metres", "unit_meter"]),
    row("mm", "millimeters", &["mm"], &["millimeter", "millimeters", "unit_millimeter"]),
    row("cm", "centimeters", &["cm"], &["centimeter", "centimeters"]),
    row("km", "kilometers", &["km", "Km"], &["kilometer", "kilometers", "unit_kilometer"]),
    row("[mi_i]", "miles", &["mi"], &["mile", "miles"]),
    row("[ft_i]", "feet", &["ft"], &["foot", "feet"]),
    row("[in_i]", "inches", &["in"], &["inch", "inches"]),
    row("/m", "per_meter", &["1/m"], &[]),
    row("g", "grams", &["g"], &["gram", "grams"]),
    row("kg", "kilograms", &["kg", "Kg"], &["kilogram", "kilograms"]),
    row("mg", "milligrams", &["mg"], &[]),
    row("g/s", "grams_per_second", &["g/s", "g/sec"], &["grams/sec", "grams/s"]),
    row("kg/h", "kilograms_per_hour", &["kg/h"], &[]),
    row("kg/s", "kilograms_per_second", &["kg/s"], &[]),
    row("L", "liters", &["l", "L"], &["liter", "liters", "litre", "litres", "unit_liter"]),
    row("mL", "milliliters", &["ml", "mL"], &[]),
    row("L/h", "liters_per_hour", &["l/h", "L/h", "L/hr", "l/hr"], &[]),
    row("L/min", "liters_per_minute", &["l/min", "L/min"], &["lpm"]),
    row("L/(100.km)", "liters_per_100_kilometers", &[], &["l/100km", "l/100 km"]),
    row("km/L", "kilometers_per_liter", &["km/l", "km/L"], &[]),
    // The rest.
    row("Hz", "hertz", &[], &["hz", "hertz"]),
    row("kHz", "kilohertz", &[], &["khz"]),
    row("MHz", "megahertz", &["MHz"], &[]),
    row("bit", "bits", &[], &["bit", "bits"]),
    row("By", "bytes", &[], &["byte", "bytes"]),
    row("bit/s", "bits_per_second", &["bit/s", "bps"], &[]),
    row("dB", "decibels", &["dB"], &["decibel", "decibels"]),
    row("dB[mW]", "decibel_milliwatts", &["dBm"], &[]),
    row("W/m2", "watts_per_square_meter", &["W/m2"], &[]),
    row("lx", "lux", &["lx"], &["lux"]),
    row("lm", "lumens", &["lm"], &["lumen", "lumens"]),
    row("cd", "candelas", &["cd"], &["candela", "candelas"]),
];
