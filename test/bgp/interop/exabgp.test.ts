import { ExaBgpRouter } from '../kit/routers/exabgp.ts';
import { tellRouterStories } from './router-stories.ts';

tellRouterStories((lab) => new ExaBgpRouter(lab.theirs.name));
