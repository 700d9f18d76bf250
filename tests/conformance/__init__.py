"""How right fnmath is: reference values from 50-digit arithmetic, and how they are judged."""
