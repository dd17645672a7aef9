//! `#if` expressions (C++14 cpp.cond): 64-bit integers; every remaining identifier is 0.

use crate::soft::msl::lex::{self, Kind, Literal, LiteralType, Punct, Token};
use crate::soft::msl::names::{Name, Names};

/// A value and whether it is unsigned (cpp.cond/4: intmax_t or uintmax_t).
#[derive(Clone, Copy)]
struct Value(u64, bool);

pub(super) struct Condition<'a> {
    pub(super) names: &'a Names,
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    pub(super) depth: u32,
}

/// Maximum nesting of parentheses and operators.
const MAX_DEPTH: u32 = 200;

type Result<T> = std::result::Result<T, String>;

impl Condition<'_> {
    pub(super) fn evaluate(mut self) -> Result<bool> {
        let value = self.conditional(true)?;
        if self.at < self.tokens.len() {
            return Err(
                "token is not a valid binary operator in a preprocessor subexpression".into()
            );
        }
        Ok(value.0 != 0)
    }

    fn punct(&self) -> Option<Punct> {
        match self.tokens.get(self.at)?.kind {
            Kind::Punct(punct) => Some(punct),
            _ => None,
        }
    }

    fn expect(&mut self, punct: Punct) -> Result<()> {
        if self.punct() != Some(punct) {
            return Err(format!("expected '{}' in preprocessor expression", punct.text()));
        }
        self.at += 1;
        Ok(())
    }

    /// conditional: binary ('?' conditional ':' conditional)?
    /// `live` is false where the value is not used: a division by zero there is not an error.
    fn conditional(&mut self, live: bool) -> Result<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("preprocessor expression is nested too deeply".into());
        }
        let condition = self.binary(0, live)?;
        let value = if self.punct() == Some(Punct::Question) {
            self.at += 1;
            let yes = self.conditional(live && condition.0 != 0)?;
            self.expect(Punct::Colon)?;
            let no = self.conditional(live && condition.0 == 0)?;
            let unsigned = yes.1 || no.1;
            Value(if condition.0 != 0 { yes.0 } else { no.0 }, unsigned)
        } else {
            condition
        };
        self.depth -= 1;
        Ok(value)
    }

    /// binary: unary (operator binary)*, by precedence climbing.
    fn binary(&mut self, least: u8, live: bool) -> Result<Value> {
        let mut left = self.unary(live)?;
        while let Some((punct, level)) = self.punct().and_then(|p| Some((p, precedence(p)?))) {
            if level < least {
                break;
            }
            self.at += 1;
            let live = live
                && match punct {
                    Punct::AndAnd => left.0 != 0,
                    Punct::OrOr => left.0 == 0,
                    _ => true,
                };
            let right = self.binary(level + 1, live)?;
            left = apply(punct, left, right, live)?;
        }
        Ok(left)
    }

    /// unary: ('!' | '~' | '-' | '+')* primary
    fn unary(&mut self, live: bool) -> Result<Value> {
        let start = self.at;
        while let Some(Punct::Not | Punct::Tilde | Punct::Minus | Punct::Plus) = self.punct() {
            self.at += 1;
        }
        let operators = start..self.at;
        let mut value = self.primary(live)?;
        for token in self.tokens[operators].iter().rev() {
            value = match token.kind {
                Kind::Punct(Punct::Not) => Value(u64::from(value.0 == 0), false),
                Kind::Punct(Punct::Tilde) => Value(!value.0, value.1),
                Kind::Punct(Punct::Minus) => Value(value.0.wrapping_neg(), value.1),
                _ => value,
            };
        }
        Ok(value)
    }

    /// primary: number | character | name | '(' conditional ')'
    fn primary(&mut self, live: bool) -> Result<Value> {
        let Some(token) = self.tokens.get(self.at) else {
            return Err("expected value in preprocessor expression".into());
        };
        self.at += 1;
        match token.kind {
            Kind::Number => match lex::number(self.names.text(token.name))? {
                Literal::Int(value, ty) => {
                    Ok(Value(value, matches!(ty, LiteralType::Uint | LiteralType::Ulong)))
                }
                Literal::Float(..) => {
                    Err("floating point literal in preprocessor expression".into())
                }
            },
            Kind::Char => lex::character(self.names.text(token.name))
                .map(|value| Value(value, false))
                .ok_or_else(|| "invalid character literal".into()),
            // [cpp.cond]/4: every remaining identifier is 0, except true.
            Kind::Ident => Ok(Value(u64::from(token.name == Name::TRUE), false)),
            Kind::Punct(Punct::LParen) => {
                let value = self.conditional(live)?;
                self.expect(Punct::RParen)?;
                Ok(value)
            }
            _ => Err("invalid token at start of a preprocessor expression".into()),
        }
    }
}

fn precedence(punct: Punct) -> Option<u8> {
    use Punct::*;
    Some(match punct {
        OrOr => 1,
        AndAnd => 2,
        Pipe => 3,
        Caret => 4,
        Amp => 5,
        EqEq | NotEq => 6,
        Less | Greater | LessEq | GreaterEq => 7,
        Shl | Shr => 8,
        Plus | Minus => 9,
        Star | Slash | Percent => 10,
        _ => return None,
    })
}

fn apply(punct: Punct, Value(a, ua): Value, Value(b, ub): Value, live: bool) -> Result<Value> {
    use Punct::*;
    let unsigned = ua || ub;
    let (sa, sb) = (a as i64, b as i64);
    let truth = |yes: bool| Ok(Value(u64::from(yes), false));
    let less = |x: u64, y: u64| if unsigned { x < y } else { (x as i64) < (y as i64) };
    Ok(Value(
        match punct {
            OrOr => return truth(a != 0 || b != 0),
            AndAnd => return truth(a != 0 && b != 0),
            EqEq => return truth(a == b),
            NotEq => return truth(a != b),
            Less => return truth(less(a, b)),
            Greater => return truth(less(b, a)),
            LessEq => return truth(!less(b, a)),
            GreaterEq => return truth(!less(a, b)),
            Pipe => a | b,
            Caret => a ^ b,
            Amp => a & b,
            Shl => return Ok(Value(a.checked_shl(b as u32).unwrap_or(0), ua)),
            Shr if ua => return Ok(Value(a.checked_shr(b as u32).unwrap_or(0), ua)),
            Shr => return Ok(Value((sa >> sb.clamp(0, 63)) as u64, ua)),
            Plus => a.wrapping_add(b),
            Minus => a.wrapping_sub(b),
            Star => a.wrapping_mul(b),
            Slash | Percent if b == 0 => {
                if live {
                    return Err("division by zero in preprocessor expression".into());
                }
                0
            }
            Slash if unsigned => a / b,
            Slash => sa.wrapping_div(sb) as u64,
            _ if unsigned => a % b,
            _ => sa.wrapping_rem(sb) as u64,
        },
        unsigned,
    ))
}
