//! Complex numbers in `f64`, as far as references need them.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A complex number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Complex {
    /// The real part.
    pub re: f64,
    /// The imaginary part.
    pub im: f64,
}

/// A complex number from its parts.
pub const fn complex(re: f64, im: f64) -> Complex {
    Complex { re, im }
}

impl From<f64> for Complex {
    fn from(re: f64) -> Self {
        complex(re, 0.0)
    }
}

impl std::iter::Sum for Complex {
    fn sum<T: Iterator<Item = Self>>(all: T) -> Self {
        all.fold(complex(0.0, 0.0), |sum, one| sum + one)
    }
}

const I: Complex = complex(0.0, 1.0);
const ONE: Complex = complex(1.0, 0.0);

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        complex(self.re + other.re, self.im + other.im)
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        complex(self.re - other.re, self.im - other.im)
    }
}

impl Neg for Complex {
    type Output = Self;
    fn neg(self) -> Self {
        complex(-self.re, -self.im)
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        complex(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
    }
}

impl Div for Complex {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let square = other.re * other.re + other.im * other.im;
        let product = self * complex(other.re, -other.im);
        complex(product.re / square, product.im / square)
    }
}

impl Complex {
    /// The absolute value.
    pub fn abs(self) -> f64 {
        self.re.hypot(self.im)
    }

    /// The principal logarithm.
    pub fn ln(self) -> Self {
        complex(self.abs().ln(), self.im.atan2(self.re))
    }

    /// e to this power.
    pub fn exp(self) -> Self {
        let (sin, cos) = self.im.sin_cos();
        complex(self.re.exp() * cos, self.re.exp() * sin)
    }

    /// The root with a real part that is not negative.
    pub fn sqrt(self) -> Self {
        let (size, half_angle) = (self.abs().sqrt(), self.im.atan2(self.re) / 2.0);
        complex(size * half_angle.cos(), size * half_angle.sin())
    }

    /// The sine, by Euler's formula; the other functions likewise.
    pub fn sin(self) -> Self {
        ((I * self).exp() - (-I * self).exp()) / complex(0.0, 2.0)
    }

    /// The cosine.
    pub fn cos(self) -> Self {
        ((I * self).exp() + (-I * self).exp()) / complex(2.0, 0.0)
    }

    /// The hyperbolic sine.
    pub fn sinh(self) -> Self {
        (self.exp() - (-self).exp()) / complex(2.0, 0.0)
    }

    /// The hyperbolic cosine.
    pub fn cosh(self) -> Self {
        (self.exp() + (-self).exp()) / complex(2.0, 0.0)
    }

    /// The principal inverse of the sine.
    pub fn asin(self) -> Self {
        -I * (I * self + (ONE - self * self).sqrt()).ln()
    }

    /// The principal inverse of the cosine.
    pub fn acos(self) -> Self {
        -I * (self + I * (ONE - self * self).sqrt()).ln()
    }

    /// The principal inverse of the tangent.
    pub fn atan(self) -> Self {
        complex(0.0, -0.5) * ((ONE + I * self) / (ONE - I * self)).ln()
    }
}
