//! NSDate: a point in time, in seconds since the beginning of 2001.

use super::{NSObject, Text};
use crate::abi::Class;
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Strong};
use std::time::{SystemTime, UNIX_EPOCH};

/// A point in time.
#[derive(Clone, Copy)]
pub(crate) struct Date(f64);

/// From the beginning of 1970 to that of 2001, in seconds.
const FROM_1970: f64 = 978_307_200.0;

soft_class! {
    /// A point in time.
    pub(crate) class NSDate(Date): NSObject, conforms [NSCopying], lacks super::absent::DATE;
    make [date] = Date::now;
    make [now] = Date::now;
    init [init] = Date::now;
    make [dateWithTimeIntervalSinceNow:] = |seconds: f64| Date(Date::now().0 + seconds);
    init [initWithTimeIntervalSinceNow:] = |seconds: f64| Date(Date::now().0 + seconds);
    make [dateWithTimeIntervalSinceReferenceDate:] = Date;
    init [initWithTimeIntervalSinceReferenceDate:] = Date;
    make [dateWithTimeIntervalSince1970:] = |seconds: f64| Date(seconds - FROM_1970);
    init [initWithTimeIntervalSince1970:] = |seconds: f64| Date(seconds - FROM_1970);
    make [dateWithTimeInterval:sinceDate:] = |seconds: f64, date: &Object<Date>| Date(date.0 + seconds);
    // The years 4001 and 1, as on Apple's systems.
    make [distantFuture] = || Date(63_113_904_000.0);
    make [distantPast] = || Date(-63_114_076_800.0);
    class [timeIntervalSinceReferenceDate] = |_: Class| Date::now().0;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);

    [timeIntervalSinceReferenceDate] = |date: &Date| date.0;
    [timeIntervalSinceNow] = |date: &Date| date.seconds_until();
    [timeIntervalSince1970] = |date: &Date| date.0 + FROM_1970;
    [timeIntervalSinceDate:] = |date: &Date, other: &Object<Date>| date.0 - other.0;
    [dateByAddingTimeInterval:] = |date: &Date, seconds: f64| Strong::new(Date(date.0 + seconds));
    [addTimeInterval:] = |date: &Date, seconds: f64| Strong::new(Date(date.0 + seconds));
    [earlierDate:] = |date: &Date, other: &Object<Date>| Strong::new(Date(date.0.min(other.0)));
    [laterDate:] = |date: &Date, other: &Object<Date>| Strong::new(Date(date.0.max(other.0)));
    [compare:] = |date: &Date, other: &Object<Date>| date.0.total_cmp(&other.0) as isize;
    [isEqual:] = |date: &Date, other: Ours<Date>| other.0.is_some_and(|other| date.0 == other.0);
    [isEqualToDate:] = |date: &Date, other: Option<&Object<Date>>| other.is_some_and(|other| date.0 == other.0);
    [hash] = |date: &Date| date.0 as i64 as usize;
    [description] = |date: &Date| Text::object(date.spelled());
}

impl Date {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_secs_f64() - FROM_1970)
    }

    /// Seconds until the date.
    pub(super) fn seconds_until(self) -> f64 {
        self.0 - Self::now().0
    }

    /// `2001-01-01 00:00:00 +0000`, by the Gregorian calendar.
    fn spelled(self) -> String {
        let seconds = (self.0 + FROM_1970).floor() as i64;
        let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days since 1 March of year 0. A year begins in March, so that a leap day is its last.
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let of_month = day - (153 * month + 2) / 5 + 1;
        let (year, month) = (era * 400 + year + month / 10, (month + 2) % 12 + 1);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        format!("{year:04}-{month:02}-{of_month:02} {hour:02}:{minute:02}:{second:02} +0000")
    }
}

fn itself(this: This<'_, Date>) -> Strong<Date> {
    this.retain()
}
