//! Why sessions end, what the neighbour is told of it, and whether its routes may stay.

use std::time::{Duration, Instant};

use super::established::Established;
use crate::wire::{Family, Notification, NotificationCode, cease};

/// Why the owner ends a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// An operator shuts it down, and says why (RFC 9003). It begins again when it is started.
    Shutdown(String),
    /// An operator resets it, and says why. It begins again at once.
    Reset(String),
    /// The neighbour is no neighbour any more.
    Deconfigured,
    /// It is configured in another way.
    Reconfigured,
    /// There is no room for all that connect, and this one is not further than that.
    Crowded,
    /// The neighbour announces more routes than it may. It begins again after a pause, or when it is started.
    TooManyRoutes {
        /// Of which family.
        family: Family,
        /// How many it may.
        limit: u32,
        /// The pause.
        again: Option<Duration>,
    },
    /// BFD says that the neighbour is gone (RFC 9384). It begins again at once.
    BfdDown,
}

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The owner wants it.
    Stopped(Stop),
    /// It broke, or the other side closed it.
    Lost(String),
    /// It did not come about.
    Unreachable(String),
    /// The neighbour said nothing for too long.
    Silent,
    /// It took nothing for too long.
    Stuck,
    /// It sent what has no place here.
    Malformed(Notification, String),
    /// It ended the session.
    Told(Notification),
    /// Another connection was kept.
    Collision(&'static str),
    /// The neighbour restarted, and is back already.
    Replaced,
}

/// How a session, or an attempt at one, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Instant,
    /// Why, in words.
    pub reason: String,
    /// What the neighbour was told.
    pub sent: Option<Notification>,
    /// What the neighbour told.
    pub received: Option<Notification>,
}

impl Ended {
    pub(super) fn new(end: &End, now: Instant) -> Self {
        let received = if let End::Told(notification) = end { Some(notification.clone()) } else { None };
        Self { at: now, reason: end.to_string(), sent: None, received }
    }
}

impl End {
    /// What the neighbour is told. With `hard`, it would keep routes over a NOTIFICATION that does not say otherwise.
    pub(super) fn notification(&self, hard: bool) -> Option<Notification> {
        let ceases = |subcode| Notification::new(NotificationCode::CEASE, subcode);
        match self {
            Self::Stopped(stop) => {
                let notification = stop.notification();
                Some(if hard && stop.is_final() { notification.into_hard_reset() } else { notification })
            }
            Self::Silent => Some(Notification::new(NotificationCode::HOLD_TIMER_EXPIRED, 0)),
            // The neighbour reads nothing, but a proxy or a later look at the capture may.
            Self::Stuck => Some(Notification::new(NotificationCode::SEND_HOLD_TIMER_EXPIRED, 0)),
            Self::Malformed(notification, _) => Some(notification.clone()),
            Self::Collision(_) => Some(ceases(cease::COLLISION_RESOLUTION)),
            Self::Lost(_) | Self::Unreachable(_) | Self::Told(_) | Self::Replaced => None,
        }
    }

    /// Whether the way to the neighbour failed, not what was said: there is no reason to come back later than at once.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Silent | Self::Replaced | Self::Stopped(Stop::BfdDown) => true,
            Self::Told(notification) => {
                let inside = notification.hard_reset_reason();
                let told = inside.as_ref().unwrap_or(notification);
                (told.code, told.subcode) == (NotificationCode::CEASE, cease::BFD_DOWN)
            }
            Self::Stopped(_)
            | Self::Unreachable(_)
            | Self::Stuck
            | Self::Malformed(..)
            | Self::Collision(_) => false,
        }
    }

    /// Whether the routes of the neighbour may stay for a while, if that was agreed (RFC 4724 section 4.2, RFC 8538
    /// section 4).
    pub(super) fn retains(&self, agreed: &Established) -> bool {
        match self {
            Self::Lost(_) | Self::Replaced => true,
            Self::Silent | Self::Stuck | Self::Malformed(..) | Self::Collision(_) => {
                agreed.survives_notification()
            }
            Self::Told(notification) => {
                agreed.survives_notification() && notification.hard_reset_reason().is_none()
            }
            Self::Stopped(stop) => agreed.survives_notification() && !stop.is_final(),
            Self::Unreachable(_) => false,
        }
    }
}

impl Stop {
    fn notification(&self) -> Notification {
        let ceases = |subcode| Notification::new(NotificationCode::CEASE, subcode);
        let told = |subcode, text: &str| {
            // A text that is too long is cut where a character ends.
            let end = (0..=text.len().min(255)).rev().find(|end| text.is_char_boundary(*end));
            let text = text.get(..end.unwrap_or(0)).unwrap_or_default();
            Notification::shutdown(subcode, text).unwrap_or_else(|_| ceases(subcode))
        };
        match self {
            Self::Shutdown(text) => told(cease::ADMINISTRATIVE_SHUTDOWN, text),
            Self::Reset(text) => told(cease::ADMINISTRATIVE_RESET, text),
            Self::Deconfigured => ceases(cease::PEER_DECONFIGURED),
            Self::Reconfigured => ceases(cease::OTHER_CONFIGURATION_CHANGE),
            Self::Crowded => ceases(cease::OUT_OF_RESOURCES),
            Self::TooManyRoutes { family, limit, .. } => {
                // RFC 4486 section 4.
                let mut notification = ceases(cease::MAXIMUM_PREFIXES);
                notification.data.extend(family.afi.0.to_be_bytes());
                notification.data.push(family.safi.0);
                notification.data.extend(limit.to_be_bytes());
                notification
            }
            Self::BfdDown => ceases(cease::BFD_DOWN),
        }
    }

    /// Whether neither side may keep routes: the NOTIFICATION is a hard reset where others would not end that (RFC 8538
    /// section 4).
    ///
    /// Graceful restart is for a control plane that fails while packets are still forwarded. When BFD fails while the
    /// session stands, it is the other way round: nothing says that the neighbour restarts, and the path between the two
    /// carries no packets (RFC 5882 section 4.3), in the one direction as little as in the other. So its routes go at
    /// once, and it is not to keep this side's either; RFC 9384 section 3 puts "BFD Down" into the hard reset for that.
    /// A neighbour that does restart ends its session first, and BFD has no session to end then: its routes stay.
    const fn is_final(&self) -> bool {
        match self {
            Self::Shutdown(_) | Self::Deconfigured | Self::TooManyRoutes { .. } | Self::BfdDown => true,
            Self::Reset(_) | Self::Reconfigured | Self::Crowded => false,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped(Stop::Shutdown(text)) => write!(f, "shut down by an operator: {text}"),
            Self::Stopped(Stop::Reset(text)) => write!(f, "reset by an operator: {text}"),
            Self::Stopped(Stop::Deconfigured) => f.write_str("it is no neighbour any more"),
            Self::Stopped(Stop::Reconfigured) => f.write_str("its configuration changed"),
            Self::Stopped(Stop::Crowded) => f.write_str("others that connect need its place"),
            Self::Stopped(Stop::TooManyRoutes { family, limit, .. }) => {
                write!(f, "it announced more than {limit} routes of {family}")
            }
            Self::Stopped(Stop::BfdDown) => f.write_str("BFD says that it is gone"),
            Self::Lost(reason) | Self::Unreachable(reason) => f.write_str(reason),
            Self::Silent => f.write_str("nothing was heard for the hold time"),
            Self::Stuck => f.write_str("it took nothing for the send hold time"),
            Self::Malformed(_, reason) => f.write_str(reason),
            Self::Told(notification) => write!(f, "it sent {notification}"),
            Self::Collision(reason) => f.write_str(reason),
            Self::Replaced => f.write_str("it restarted and connected anew"),
        }
    }
}
